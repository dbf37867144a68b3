package boot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/owned"
)

// A GRUB is an installed GRUB, known by the folder of its custom.cfg.
type GRUB struct{ dir string }

// Open finds GRUB's folder: dir or, if that is empty, /boot/grub or
// /boot/grub2.
func Open(dir string) (*GRUB, error) {
	if dir != "" {
		return openFirst(dir)
	}
	return openFirst("/boot/grub", "/boot/grub2")
}

func openFirst(dirs ...string) (*GRUB, error) {
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			if err := owned.Check(dir); err != nil {
				return nil, fmt.Errorf("find GRUB: %w", err)
			}
			return &GRUB{dir}, nil
		}
	}
	return nil, fmt.Errorf("find GRUB: there is no folder %s; install GRUB, mount /boot, or say where custom.cfg belongs with --boot", strings.Join(dirs, " or "))
}

// Dir returns the folder of custom.cfg.
func (g *GRUB) Dir() string { return g.dir }

// Sourced reports whether the distribution's grub.cfg sources custom.cfg, as
// GRUB's 41_custom makes it do. Without that the menu is never seen.
func (g *GRUB) Sourced() (bool, error) {
	data, err := os.ReadFile(filepath.Join(g.dir, "grub.cfg"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return bytes.Contains(data, []byte("/custom.cfg")), err
}

// Linked reports whether custom.cfg sources the menu of this stage.
func (g *GRUB) Linked(stage Filesystem) (bool, error) {
	c, err := g.read()
	if err != nil {
		return false, err
	}
	_, ours, _, err := split(c.data)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", c.path, err)
	}
	return string(ours) == block(stage), nil
}

// Link makes custom.cfg source the menu of this stage and of no other. If it
// does already, nothing is written.
func (g *GRUB) Link(stage Filesystem) error {
	if err := stage.check(); err != nil {
		return fmt.Errorf("link the boot menu: %w", err)
	}
	c, err := g.read()
	if err != nil {
		return err
	}
	data, err := withBlock(c.data, block(stage))
	if err != nil {
		return fmt.Errorf("link the boot menu into %s: %w", c.path, err)
	}
	if bytes.Equal(data, c.data) {
		return nil
	}
	return c.publish(data)
}

// Unlink takes our lines out of custom.cfg, and removes the file if there was
// nothing else in it.
func (g *GRUB) Unlink() error {
	c, err := g.read()
	if err != nil {
		return err
	}
	before, ours, after, err := split(c.data)
	if err != nil {
		return fmt.Errorf("unlink the boot menu from %s: %w", c.path, err)
	}
	if ours == nil {
		return nil
	}
	rest := append(bytes.Clone(before), after...)
	if len(rest) == 0 {
		return durable.Remove(c.path)
	}
	return c.publish(rest)
}

// A customCfg is custom.cfg as it is; info is nil if it is not there.
type customCfg struct {
	path string
	data []byte
	info fs.FileInfo
}

func (g *GRUB) read() (*customCfg, error) {
	c := &customCfg{path: filepath.Join(g.dir, "custom.cfg")}
	// A link is kept: what it points to is replaced.
	switch target, err := filepath.EvalSymlinks(c.path); {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", c.path, err)
	default:
		c.path = target
	}
	err := owned.Check(filepath.Join(g.dir, "custom.cfg"))
	if err != nil {
		return nil, fmt.Errorf("read the boot menu: %w", err)
	}
	if c.info, err = os.Stat(c.path); err != nil {
		return nil, err
	}
	c.data, err = os.ReadFile(c.path)
	return c, err
}

func (c *customCfg) publish(data []byte) error {
	mode := fs.FileMode(0o644)
	if c.info != nil {
		mode = c.info.Mode().Perm()
	}
	f, err := durable.Create(filepath.Dir(c.path), mode)
	if err != nil {
		return fmt.Errorf("write %s: %w; is its file system mounted read-only?", c.path, err)
	}
	defer f.Discard()
	if err := c.keepOwner(f); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", c.path, err)
	}
	if err := fault.Point("boot.custom.written"); err != nil {
		return err
	}
	if err := f.Publish(c.path); err != nil {
		return fmt.Errorf("write %s: %w", c.path, err)
	}
	return fault.Point("boot.custom.published")
}

func (c *customCfg) keepOwner(f *durable.File) error {
	if c.info == nil {
		return nil
	}
	st, ok := c.info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) == os.Geteuid() && int(st.Gid) == os.Getegid() {
		return nil // nor could vfat be asked
	}
	if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return fmt.Errorf("keep the owner of %s: %w", c.path, err)
	}
	return nil
}
