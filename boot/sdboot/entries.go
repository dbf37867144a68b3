package sdboot

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/sdboot/counter"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

// Where things are on the partition.
const (
	entriesDir = deployment.EntriesFolder
	copiesDir  = "gitboot"
)

// maxEntry is more than any entry of ours is long: a command line and its names.
const maxEntry = 16 << 10

// A file is one of ours among the entries.
type file struct {
	counter.Name
	text []byte
}

// onTrial reports whether the file's name counts boots, or did until it proved good.
func (f file) onTrial() bool { return bytes.Contains(f.text, []byte("\n"+trialMark+"\n")) }

// shown reports whether the boot loader shows it.
func (f file) shown() bool { return has(f.text, linuxKey) || has(f.text, efiKey) }

// Keys of what an entry starts: a kernel, or a program with all in it.
const (
	linuxKey = "linux"
	efiKey   = "efi"
)

func (l *Loader) entries() string { return filepath.Join(l.boot, filepath.FromSlash(entriesDir)) }

// own are the ids that gitboot gives.
var own = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(gitboot-.+-[0-9a-f]{16}|` + regexp.QuoteMeta(boot.TrialID("")) + `[0-9a-f]{16}|` + regexp.QuoteMeta(boot.RecoveryID) + `|` + regexp.QuoteMeta(boot.SafeGraphicsID) + `)$`)
})

// files returns our entries, by their names.
func (l *Loader) files() (out []file, err error) {
	all, err := os.ReadDir(l.entries())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range all {
		n, ok := counter.Parse(e.Name(), counter.Entry)
		if !ok || !own().MatchString(n.ID) || !e.Type().IsRegular() {
			continue
		}
		text, err := read(filepath.Join(l.entries(), e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, file{n, text})
	}
	return out, err
}

// read reads a short file; of one that is longer, and so not as it was written, no
// more.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text := make([]byte, maxEntry)
	n, err := f.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return text[:n], nil
}

// others returns the files of other systems' entries.
func (l *Loader) others() (files []string, err error) {
	for _, dir := range slices.Compact([]string{l.esp, l.boot}) {
		for _, where := range []struct{ dir, end string }{{entriesDir, counter.Entry}, {"EFI/Linux", ".efi"}} {
			folder := filepath.Join(dir, filepath.FromSlash(where.dir))
			all, err := os.ReadDir(folder)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			for _, e := range all {
				if n, ok := counter.Parse(strings.ToLower(e.Name()), where.end); ok && !own().MatchString(n.ID) && !strings.HasPrefix(n.ID, durable.TempPrefix) {
					files = append(files, filepath.Join(folder, e.Name()))
				}
			}
		}
	}
	return files, nil
}

// Others tells of other systems' entries, and of the one that somebody has asked the
// firmware for.
func (l *Loader) Others() loader.Others {
	files, err := l.others()
	return loader.Others{Known: err == nil, None: err == nil && len(files) == 0, Asked: asked(l.vars)}
}

// Unsorted returns an entry of another system that comes after all of ours, because it
// has no sort-key, and boots by itself no more unless loader.conf has it do so; "" if
// there is none.
func Unsorted(l *Loader) (string, error) {
	c, err := l.conf()
	if err != nil || has(c.Before, "default") || has(c.After, "default") {
		return "", err
	}
	others, err := l.others()
	for _, path := range others {
		if filepath.Ext(path) != counter.Entry {
			continue
		}
		text, err := read(path)
		if err != nil || !has(text, "sort-key") {
			return path, err
		}
	}
	return "", err
}

// has reports whether a text has a line with a key.
func has(text []byte, key string) bool { return value(text, key) != "" }

// value is the first word that follows a key in a text, "" without one.
func value(text []byte, key string) string {
	for line := range bytes.Lines(text) {
		if fields := bytes.Fields(line); len(fields) > 1 && string(fields[0]) == key {
			return string(fields[1])
		}
	}
	return ""
}

// Entries returns the ids of the entries that are shown.
func (l *Loader) Entries() (map[string]bool, error) {
	files, err := l.files()
	ids := map[string]bool{}
	for _, f := range files {
		if f.shown() {
			ids[f.ID] = true
		}
	}
	return ids, err
}
