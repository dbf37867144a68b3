package confine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// showSecrets mounts the secrets where only this thread, and what it starts, sees
// them: they are gone with the last of these.
func (c *Cell) showSecrets() error {
	if c.SecretsDir == "" {
		return nil
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("gitboot", c.SecretsDir, "tmpfs", flags, "mode=0700,size=16m"); err != nil {
		return &fs.PathError{Op: "mount a tmpfs over", Path: c.SecretsDir, Err: err}
	}
	if err := WriteSecrets(c.SecretsDir, c.Secrets); err != nil {
		return err
	}
	return unix.MountSetattr(unix.AT_FDCWD, c.SecretsDir, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// WriteSecrets makes a file for each of the secrets in dir, unless it is there:
// for who runs a script without a cell.
func WriteSecrets(dir string, secrets map[string][]byte) error {
	for name, text := range secrets {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.EROFS) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
