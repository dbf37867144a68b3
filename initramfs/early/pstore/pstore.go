// Package pstore reads what a kernel kept of its log when it ended, in memory that
// outlives it (Documentation/ABI/testing/pstore): firmware's variables, an error record
// table, or memory that is reserved for it.
//
// Each dump of the log is in parts, the end first, and each part in a file
// dmesg-BACKEND-ID that begins with a line such as "Panic#2 Part1". A kernel that had
// trouble first, and then ended, has left several dumps.
package pstore

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
)

// Dir is where pstore is mounted.
const Dir = "/sys/fs/pstore"

// Bounds of what is read: the kernel's own dumps are smaller by far.
const (
	maxFiles = 64
	maxPart  = 64 << 10
)

// Mount mounts pstore. The returned function unmounts it.
func Mount() (unmount func(), err error) {
	if _, err := os.Stat(Dir); err != nil {
		return nil, err // a kernel without it
	}
	if err := unix.Mount("pstore", Dir, "pstore", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("mounting pstore: %w", err)
	}
	return func() { _ = unix.Unmount(Dir, 0) }, nil
}

// A part is one of a dump's, with the time of the dump.
type part struct {
	path      string
	dump, nth int
	text      string
}

// Read reads all dumps of kernels that ended in a folder, and tells which files they
// are in. What is none of these is left out.
func Read(dir string) (crash deployment.Crash, files []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return crash, nil, err
	}
	var parts []part
	for _, e := range entries[:min(len(entries), maxFiles)] {
		if !strings.HasPrefix(e.Name(), "dmesg-") || !e.Type().IsRegular() {
			continue
		}
		p, err := readPart(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if info, err := e.Info(); err == nil && info.ModTime().After(crash.At) {
			crash.At = info.ModTime()
		}
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.dump, b.dump), cmp.Compare(b.nth, a.nth), strings.Compare(a.path, b.path))
	})
	var text strings.Builder
	for _, p := range parts {
		text.WriteString(p.text)
		files = append(files, p.path)
	}
	crash.Text = text.String()
	return crash, files, nil
}

// errNoCrash is of what else may be dumped, such as an orderly end.
var errNoCrash = errors.New("this is no dump of a kernel that ended")

func readPart(path string) (p part, err error) {
	f, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPart))
	if err != nil {
		return p, err
	}
	head, text, _ := strings.Cut(string(data), "\n")
	why, numbers, _ := strings.Cut(head, "#")
	dump, nth, _ := strings.Cut(numbers, " Part")
	var bad [2]error
	p.dump, bad[0] = strconv.Atoi(dump)
	p.nth, bad[1] = strconv.Atoi(nth)
	if cmp.Or(bad[:]...) != nil || !slices.Contains(ends, why) {
		return p, errNoCrash
	}
	p.path, p.text = path, plain(text)
	return p, nil
}

// ends are the reasons for a dump with which a kernel ends, or is about to.
var ends = []string{"Panic", "Oops", "Emergency"}

// plain takes the levels off a log's lines: "<4>[    1.234567] text".
func plain(log string) string {
	var out strings.Builder
	for line := range strings.Lines(log) {
		if level, rest, ok := strings.Cut(line, ">"); ok && len(level) < 5 && strings.HasPrefix(level, "<") {
			line = rest
		}
		out.WriteString(line)
	}
	if text := out.String(); text != "" && !strings.HasSuffix(text, "\n") {
		out.WriteByte('\n')
	}
	return out.String()
}

// Remove removes what was read, so that there is room for the next.
func Remove(files []string) error {
	var errs []error
	for _, file := range files {
		errs = append(errs, os.Remove(file))
	}
	return errors.Join(errs...)
}
