// Package marked is the part of a boot loader's configuration that is gitboot's, between
// two lines that mark it; what is before and after it is somebody's.
package marked

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/durable"
)

// The lines that mark the part.
const (
	beginMark = "### BEGIN gitboot ###"
	endMark   = "### END gitboot ###"
)

// writtenLine says whose the part is.
const writtenLine = "# Written by gitboot, which replaces these lines. Keep your own outside of them."

// stageMark begins the line in it that says whose menu is linked.
const stageMark = "# The stage is at "

// Stage is that line of a stage.
func Stage(fs boot.Filesystem) string { return stageMark + "UUID=" + fs.UUID + ":" + fs.Path }

// maxFile is more than a configuration that people write has.
const maxFile = 4 << 20

// A File is our part of one, and what is before and after it.
type File struct {
	Path          string
	Before, After []byte
	// Ours are the lines between the marks, nil if there is no such part.
	Ours []string
}

// Read reads a file, which need not be there. A part of ours that has lost its end is one
// no more: what comes after its beginning would be somebody's.
func Read(path string) (*File, error) {
	f := &File{Path: path}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes; no boot loader's configuration is as long", path, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	before, rest, begun := bytes.Cut(data, []byte(beginMark+"\n"))
	ours, after, ended := bytes.Cut(rest, []byte(endMark+"\n"))
	if f.Before = data; !begun {
		return f, nil
	}
	if !ended || bytes.Contains(after, []byte(beginMark)) {
		return nil, fmt.Errorf("%s has the line %s without its end, or twice; remove gitboot's lines by hand", path, beginMark)
	}
	f.Before, f.After, f.Ours = before, after, []string{}
	for line := range strings.Lines(string(ours)) {
		f.Ours = append(f.Ours, strings.TrimRight(line, "\n"))
	}
	return f, nil
}

// Linked is the line that says which stage's menu is linked, "" if none is.
func (f *File) Linked() string {
	for _, line := range f.Ours {
		if strings.HasPrefix(line, stageMark) {
			return line
		}
	}
	return ""
}

// Settings are those lines of our part that are more than said to people.
func (f *File) Settings() []string {
	return slices.DeleteFunc(slices.Clone(f.Ours), func(line string) bool { return strings.HasPrefix(line, "#") })
}

// Lines are those of our part but what it says of itself.
func (f *File) Lines() []string {
	return slices.DeleteFunc(slices.Clone(f.Ours), func(line string) bool { return line == writtenLine || strings.HasPrefix(line, stageMark) })
}

// Part is our part as it would be with these lines, nil if there is none.
func (f *File) Part(lines []string) []byte {
	if f.Ours == nil {
		return nil
	}
	return Part(f.Linked(), lines)
}

// Last has our part come after all that is somebody's.
func (f *File) Last() { f.Before, f.After = slices.Concat(f.Before, f.After), nil }

// Part is our part of a file that links a stage, "" for none, and has these lines.
func Part(linked string, settings []string) []byte {
	lines := []string{beginMark, writtenLine}
	if linked != "" {
		lines = append(lines, linked)
	}
	return []byte(strings.Join(append(append(lines, settings...), endMark), "\n") + "\n")
}

// Replace writes the file with another part of ours, nil for none, if it is to be
// another. What ends up with nothing in it goes.
func (f *File) Replace(part []byte) error {
	have, err := os.ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := bytes.Clone(f.Before)
	if part != nil && len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(append(text, part...), f.After...)
	switch {
	case err == nil && bytes.Equal(have, text):
		return nil
	case len(text) == 0:
		return durable.Remove(f.Path)
	}
	if err := durable.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return err
	}
	return durable.WriteSettled(f.Path, text, 0o644)
}

// ChangeLast replaces our part of a file, and has it come last.
func ChangeLast(path string, part func(*File) []byte) error {
	f, err := Read(path)
	if err != nil {
		return err
	}
	f.Last()
	return f.Replace(part(f))
}

// LinkLast notes in a file whose menu its last part is. The lines that stay there are those
// which lines returns.
func LinkLast(path string, stage boot.Filesystem, lines func(*File) []string) error {
	err := stage.Check()
	if err == nil {
		err = ChangeLast(path, func(f *File) []byte { return Part(Stage(stage), lines(f)) })
	}
	if err != nil {
		return fmt.Errorf("link the boot menu: %w", err)
	}
	return nil
}

// IsLinked reports whether a file says that the menu of this stage is its own.
func IsLinked(path string, stage boot.Filesystem) (bool, error) {
	f, err := Read(path)
	if err != nil {
		return false, err
	}
	return f.Linked() == Stage(stage), nil
}
