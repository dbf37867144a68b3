package early

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
)

// copyToRAM copies the layers to a tmpfs of just their size and lets the
// stage go.
func (b *boot) copyToRAM(layers []deployment.Object) error {
	const page = 64 << 10 // the largest there is
	size := int64(page)
	for _, o := range layers {
		size += (o.Size + page - 1) / page * page
	}
	b.log.info("copying %d layers, %d MiB, to memory", len(layers), size>>20)
	if err := mount("gitboot-ram", ramDir, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=0700,size="+strconv.FormatInt(size, 10)); err != nil {
		return err
	}
	for _, o := range layers {
		if err := copyFile(filepath.Join(stageDir, o.Path()), filepath.Join(ramDir, o.Path())); err != nil {
			return fmt.Errorf("copying layers to memory: %w", err)
		}
	}
	if err := unix.Unmount(stageDir, 0); err != nil {
		return fmt.Errorf("unmounting the stage: %w", err)
	}
	return os.Remove(stageDir)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
