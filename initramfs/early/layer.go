package early

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/dm"
)

// Where a layer's tree begins, and in what blocks: see package stage/hashtree.
const (
	treeBlock = 4096
	treeStart = 1
)

// mounted returns all objects that are needed once the modules are loaded.
func (b *boot) mounted() []deployment.Object {
	all := b.manifest.Squashed()
	if v := b.manifest.Verity; v != nil {
		for _, t := range v.Trees {
			all = append(all, t.Object)
		}
	}
	return all
}

// reports says that layers are to be verified, and are mounted even where that
// cannot be or they are not what they were.
func (b *boot) reports() bool {
	return b.manifest.Verity != nil && b.manifest.Verity.Mode == deployment.VerityReport
}

// verifying are the modules that verify layers.
var verifying = [...]string{"dm_mod", "dm_verity"}

// loadVerity loads what layers are verified with, if they are.
func (b *boot) loadVerity() error {
	if b.manifest.Verity == nil {
		return nil
	}
	err := b.modules.loadNamed(verifying[:]...)
	if err != nil && b.reports() {
		b.log.error("layers are not verified: %v", err)
		return nil
	}
	return err
}

// mountLayer mounts the i-th object of the root file system, which lies in the
// folder from, above a device that verifies it if it has a tree.
func (b *boot) mountLayer(from string, i int, o deployment.Object) error {
	file, dir := filepath.Join(from, o.Path()), filepath.Join(lowerDir, strconv.Itoa(i))
	if err := checkObject(file, o); err != nil {
		return err
	}
	loop, err := attach(file)
	if err != nil {
		return err
	}
	defer loop.Close()
	if t := b.manifest.Tree(i); t != nil {
		err := b.mountVerified(loop, from, i, *t, o.Size, dir)
		if err == nil || !b.reports() {
			return err
		}
		b.log.error("layer %d is not verified: %v; it is mounted as it is", i+1, err)
	}
	return mount(loop.Name(), dir, "squashfs", unix.MS_RDONLY, "")
}

// mountVerified mounts a layer's device above one that verifies it. Both go with
// their last user.
func (b *boot) mountVerified(loop *os.File, from string, i int, t deployment.Tree, size int64, dir string) error {
	file := filepath.Join(from, t.Path())
	if info, err := os.Stat(file); err != nil || info.Size() != t.Size {
		return &damageError{t.SHA256, fmt.Errorf("its hash tree %s is not there with its %d bytes; see `gitboot stage verify`", file, t.Size)}
	}
	tree, err := attach(file)
	if err != nil {
		return err
	}
	defer tree.Close()
	control, err := dm.Open()
	if err != nil {
		return err
	}
	defer control.Close()
	name := deployment.VerityDevice + strconv.Itoa(i)
	device, err := control.Verify(dm.Verity{
		Name: name, Data: loop.Name(), Hash: tree.Name(), Root: t.Root, Report: b.reports(),
		Size: size, Block: treeBlock, Start: treeStart,
	})
	if err != nil {
		return err
	}
	err = mount(device, dir, "squashfs", unix.MS_RDONLY, "")
	if damaged, _ := control.Damaged(name); damaged { // what cannot be asked is not known to be damaged
		err = b.damaged(i, err)
	}
	if rerr := control.Release(name); rerr != nil {
		b.log.warn("%v", rerr)
	}
	return err
}

// damaged says what mounting a layer has come across; err is what became of that.
func (b *boot) damaged(i int, err error) error {
	object := b.manifest.Squashed()[i].SHA256
	const what = "a block of it was changed or is damaged; boot another entry, and see `gitboot stage verify`"
	switch {
	case err != nil:
		return &damageError{object, fmt.Errorf("%s (%w)", what, err)}
	case b.reports():
		b.log.error("layer %d: %s", i+1, what)
		return nil
	}
	return &damageError{object, errors.New(what)}
}

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
