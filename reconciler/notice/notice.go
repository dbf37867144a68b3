// Package notice has other programs, and who logs in, see that a reboot is needed:
//
//   - reboot-required, and reboot-required.pkgs with a package a line, as Debian's
//     update-notifier writes them and unattended-upgrades, Landscape, needrestart
//     and others read them
//   - motd.d/gitboot, a line that pam_motd(8) shows
//
// They lie in /run and so end with the system that they are about. What another
// program has written there is neither replaced nor removed: a file is gitboot's
// as long as it holds what gitboot wrote. gitboot-notice.json remembers that, and
// what was told of this boot, so that an agent that is started again tells nothing
// twice.
package notice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/plain"
)

// Run is where notices lie.
const Run = "/run"

const (
	recordFile = "gitboot-notice.json"
	required   = "reboot-required"
	packages   = "reboot-required.pkgs"
	motd       = "motd.d/gitboot"
)

// A Reboot is what is said of one that is needed.
type Reboot struct {
	// Line says why, and what it brings.
	Line string
	// Packages are the names of those that change.
	Packages []string
}

// record is what was written and told since the system was booted.
type record struct {
	Next string `json:"next,omitempty"`
	// Sums are those of the files that were written, by their names.
	Sums map[string]string `json:"sums,omitempty"`
	// Booted and Told are what was told: what runs, and what boots next.
	Booted string `json:"booted,omitempty"`
	Told   string `json:"told,omitempty"`
}

// Notices lie in a folder. Those of no folder are none.
type Notices struct{ Dir string }

// Put says that a reboot is needed, which need is asked for if next is another
// than before, or, without next, that none is.
func (n Notices) Put(next string, need func() Reboot) error {
	if n.Dir == "" {
		return nil
	}
	rec := n.load()
	if rec.Next == next {
		return nil
	}
	var files map[string]string
	if next != "" {
		files = need().files()
	}
	var errs []error
	for _, name := range []string{required, packages, motd} {
		errs = append(errs, n.put(&rec, name, files[name]))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("say that a reboot is needed: %w", err)
	}
	rec.Next = next
	return n.save(rec)
}

func (r Reboot) files() map[string]string {
	line := plain.Line(r.Line)
	files := map[string]string{
		required: "*** System restart required ***\ngitboot: " + line + "\n",
		motd:     "gitboot: a reboot is needed: " + line + "\n",
	}
	names := slices.Clone(r.Packages)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		files[packages] += plain.Line(name) + "\n"
	}
	return files
}

// put has a file hold text, or be gone without any, unless it is another's.
func (n Notices) put(rec *record, name, text string) error {
	path := filepath.Join(n.Dir, name)
	there, err := os.ReadFile(path)
	exists := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if exists && rec.Sums[name] != sum(there) {
		delete(rec.Sums, name)
		return nil
	}
	if text == "" {
		delete(rec.Sums, name)
		if !exists {
			return nil
		}
		return durable.Remove(path)
	}
	if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if rec.Sums == nil {
		rec.Sums = map[string]string{}
	}
	rec.Sums[name] = sum([]byte(text))
	return durable.WriteFile(path, []byte(text), 0o644)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// Told notes what is told of what runs and of what boots next, "" for nothing, and
// reports whether either is another than what was told before.
func (n Notices) Told(booted, next string) (newBoot, newNext bool, err error) {
	rec := n.load()
	newBoot, newNext = rec.Booted != booted, rec.Told != next
	if !newBoot && !newNext || n.Dir == "" {
		return newBoot, newNext, nil
	}
	rec.Booted, rec.Told = booted, next
	return newBoot, newNext, n.save(rec)
}

// load reads the record; one that cannot be read says nothing.
func (n Notices) load() (rec record) {
	data, err := os.ReadFile(filepath.Join(n.Dir, recordFile))
	if n.Dir == "" || err != nil || json.Unmarshal(data, &rec) != nil {
		return record{}
	}
	return rec
}

func (n Notices) save(rec record) error {
	var text bytes.Buffer
	if err := json.NewEncoder(&text).Encode(rec); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(n.Dir, recordFile), text.Bytes(), 0o644)
}
