package extlinux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/copies"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/marked"
	"github.com/gitboot/gitboot/internal/owned"
)

// folders are where extlinux.conf is, as U-Boot looks for it.
var folders = [...]string{"/boot/extlinux", "/extlinux"}

const (
	confFile  = "extlinux.conf"
	copiesDir = "gitboot"
)

// A Loader is the extlinux.conf of a machine, and the menu of one stage.
type Loader struct{ dir, stage string }

// Open finds the folder of extlinux.conf: dir or, if that is empty, where one usually is.
// The stage is its folder.
func Open(dir, stage string) (*Loader, error) {
	dirs := folders[:]
	if dir != "" {
		dirs = []string{dir}
	}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		if err := owned.Check(dir); err != nil {
			return nil, fmt.Errorf("find extlinux.conf: %w", err)
		}
		return &Loader{dir, stage}, nil
	}
	return nil, fmt.Errorf("find extlinux.conf: there is no folder %s; make it on the partition that U-Boot boots from, or name it with --boot", strings.Join(dirs, " or "))
}

// Dir returns the folder of extlinux.conf.
func (l *Loader) Dir() string { return l.dir }

// Where is extlinux.conf.
func (l *Loader) Where() string { return filepath.Join(l.dir, confFile) }

func (l *Loader) copies() copies.Folder {
	return copies.Folder{Dir: filepath.Join(l.dir, copiesDir), Stage: l.stage}
}

// Check finds out whether what the menu names can be copied to where U-Boot reads it.
// What the stage lies on does not matter to it.
func (l *Loader) Check(_ context.Context, stage boot.Filesystem) error {
	if err := errors.Join(stage.Check(), owned.Check(l.dir)); err != nil {
		return err
	}
	if err := l.copies().Check(); err != nil {
		return fmt.Errorf("copy kernels to where U-Boot reads them: %w", err)
	}
	return nil
}

// labels are the ids of entries.
func labels(lines []string) map[string]bool {
	out := map[string]bool{}
	for _, line := range lines {
		if id, ok := strings.CutPrefix(line, labelKey); ok {
			out[id] = true
		}
	}
	return out
}

// Entries returns the ids of the entries that are published.
func (l *Loader) Entries() (map[string]bool, error) {
	f, err := marked.Read(l.Where())
	if err != nil {
		return nil, err
	}
	return labels(f.Ours), nil
}

// Others tells of other systems' entries.
func (l *Loader) Others() loader.Others {
	f, err := marked.Read(l.Where())
	if err != nil {
		return loader.Others{}
	}
	for line := range strings.Lines(string(f.Before) + "\n" + string(f.After)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.EqualFold(fields[0], strings.TrimSpace(labelKey)) {
			return loader.Others{Known: true}
		}
	}
	return loader.Others{Known: true, None: true}
}

// Stale says why what U-Boot shows is not this menu, "" if it is.
func (l *Loader) Stale(_ context.Context, m boot.Menu) (string, error) {
	want, err := render(m)
	if err != nil {
		return "", err
	}
	f, err := marked.Read(l.Where())
	switch {
	case err != nil:
		return "", err
	case f.Ours == nil:
		return "there is none yet", nil
	case !slices.Equal(f.Settings(), want):
		return "entries differ", nil
	}
	return l.copies().Stale(m)
}

// Fits reports, as a *loader.NoRoomError, that there is too little room for the copies
// that a menu needs.
func (l *Loader) Fits(_ context.Context, m boot.Menu) error { return l.copies().Fits(m) }

// Publish makes this the menu, by one rename.
func (l *Loader) Publish(ctx context.Context, m boot.Menu) error {
	if why, err := l.Stale(ctx, m); err != nil || why == "" {
		return err
	}
	return l.copies().Publish(ctx, m, l.write)
}

// write writes a menu whose copies are there.
func (l *Loader) write(m boot.Menu) error {
	lines, err := render(m)
	if err != nil {
		return err
	}
	return marked.ChangeLast(l.Where(), func(f *marked.File) []byte { return marked.Part(f.Linked(), lines) })
}

// Linked reports whether extlinux.conf says that the menu of this stage is shown.
func (l *Loader) Linked(_ context.Context, stage boot.Filesystem) (bool, error) {
	return marked.IsLinked(l.Where(), stage)
}

// Link notes in extlinux.conf whose menu this is.
func (l *Loader) Link(_ context.Context, stage boot.Filesystem) error {
	return marked.LinkLast(l.Where(), stage, (*marked.File).Settings)
}

// Unlink takes our part of extlinux.conf, and the kernels that it names, away.
func (l *Loader) Unlink() error {
	if err := marked.ChangeLast(l.Where(), func(*marked.File) []byte { return nil }); err != nil {
		return fmt.Errorf("unlink the boot menu: %w", err)
	}
	return l.copies().Remove()
}

// Trace returns our part of extlinux.conf, and copies of what it names, as they are and as
// they are to be.
func (l *Loader) Trace(_ context.Context, m boot.Menu) ([]loader.Trace, error) {
	want, err := render(m)
	if err != nil {
		return nil, err
	}
	f, err := marked.Read(l.Where())
	if err != nil {
		return nil, err
	}
	out, err := l.copies().Trace(m)
	return append(out, loader.PartOf(f.Path, marked.Part(f.Linked(), want), f.Part(f.Settings()))), err
}
