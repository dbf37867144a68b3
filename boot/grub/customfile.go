package grub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/owned"
)

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
	if err := f.PublishSettled(c.path); err != nil {
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
