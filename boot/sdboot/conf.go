package sdboot

import (
	"bytes"
	"context"
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

// The lines that mark our part of loader.conf.
const (
	beginMark = "### BEGIN gitboot ###"
	endMark   = "### END gitboot ###"
)

// stageMark begins the line in it that says whose menu is linked.
const stageMark = "# The stage is at "

func at(fs boot.Filesystem) string { return "UUID=" + fs.UUID + ":" + fs.Path }

// A conf is loader.conf: our part, and what is before and after it.
type conf struct {
	path          string
	before, after []byte
	// ours are the lines between the marks, nil if there is no such part.
	ours []string
}

// conf reads loader.conf. A part of ours that has lost its end is one no more: what
// comes after its beginning would be somebody's.
func (l *Loader) conf() (*conf, error) {
	c := &conf{path: l.Where()}
	data, err := os.ReadFile(c.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	before, rest, begun := bytes.Cut(data, []byte(beginMark+"\n"))
	ours, after, ended := bytes.Cut(rest, []byte(endMark+"\n"))
	if c.before = data; !begun {
		return c, nil
	}
	if !ended || bytes.Contains(after, []byte(beginMark)) {
		return nil, fmt.Errorf("%s has the line %s without its end, or twice; remove gitboot's lines by hand", c.path, beginMark)
	}
	c.before, c.after, c.ours = before, after, []string{}
	for line := range strings.Lines(string(ours)) {
		c.ours = append(c.ours, strings.TrimRight(line, "\n"))
	}
	return c, nil
}

// linked is the line that says which stage's menu is linked, "" if none is.
func (c *conf) linked() string {
	for _, line := range c.ours {
		if strings.HasPrefix(line, stageMark) {
			return line
		}
	}
	return ""
}

// settings are those lines of our part that are more than said to people.
func (c *conf) settings() []string {
	return slices.DeleteFunc(slices.Clone(c.ours), func(line string) bool { return strings.HasPrefix(line, "#") })
}

// part is our part of a file that links a stage, "" for none, and sets this.
func part(linked string, settings []string) []byte {
	lines := []string{beginMark, "# Written by gitboot, which replaces these lines. Keep your own outside of them."}
	if linked != "" {
		lines = append(lines, linked)
	}
	return []byte(strings.Join(append(append(lines, settings...), endMark), "\n") + "\n")
}

// replace writes the file, if it is to be another.
func (c *conf) replace(part []byte) error {
	have, err := os.ReadFile(c.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := bytes.Clone(c.before)
	if part != nil && len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(append(text, part...), c.after...)
	switch {
	case err == nil && bytes.Equal(have, text):
		return nil
	case len(text) == 0:
		return durable.Remove(c.path)
	}
	if err := durable.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return err
	}
	return durable.WriteSettled(c.path, text, 0o644)
}

// Linked reports whether loader.conf says that the menu of this stage is shown.
func (l *Loader) Linked(_ context.Context, stage boot.Filesystem) (bool, error) {
	c, err := l.conf()
	if err != nil {
		return false, err
	}
	return c.linked() == stageMark+at(stage), nil
}

// Link notes in loader.conf whose menu this is. What the menu sets there stays.
func (l *Loader) Link(_ context.Context, stage boot.Filesystem) error {
	if err := stage.Check(); err != nil {
		return fmt.Errorf("link the boot menu: %w", err)
	}
	c, err := l.conf()
	if err != nil {
		return fmt.Errorf("link the boot menu: %w", err)
	}
	return c.replace(part(stageMark+at(stage), c.settings()))
}

// Unlink takes our entries, their kernels and our part of loader.conf away.
func (l *Loader) Unlink() error {
	c, err := l.conf()
	if err != nil {
		return fmt.Errorf("unlink the boot menu: %w", err)
	}
	if err := c.replace(nil); err != nil {
		return err
	}
	if err := l.remove(func(file) bool { return true }); err != nil {
		return err
	}
	return l.copies().Remove()
}
