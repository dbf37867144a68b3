package early

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
)

const (
	// lowerDir has a short name: mount(2) takes at most a page of options,
	// and cuts what is longer without a word.
	lowerDir = workDir + "/l"
	ramDir   = workDir + "/ram"
	maxMount = 4095
	// maxHashed is how large a layer may be to be hashed before it is mounted.
	maxHashed = 1 << 20
	// workDir is the tmpfs of the writable layer. All that the root file
	// system is made of is mounted inside, so that one call detaches it.
	workDir = "/w"
)

// mountRoot puts the root file system together at newRoot: the layers, the
// hooks' layer, the writable one on top.
func (b *boot) mountRoot() error {
	upper, err := writable{b}.prepare()
	if err != nil {
		return err
	}
	layers, from := b.manifest.Squashed(), stageDir
	if b.cmd.RAM || b.manifest.Root.CopyToRAM {
		if err := b.copyToRAM(b.mounted()); err != nil {
			return err
		}
		from = ramDir
	}
	for i, o := range layers {
		if err := b.mountLayer(from, i, o); err != nil {
			return fmt.Errorf("mounting layer %d of %d: %w", i+1, len(layers), err)
		}
	}
	if err := mountOverlay(len(layers), upper); err != nil {
		return err
	}
	// the overlay holds what it needs: these would only be in the way
	return unix.Unmount(workDir, unix.MNT_DETACH)
}

// checkObject compares a layer with the manifest: its size, and where that
// takes no time to speak of, as with hooks' layers, what is in it.
func checkObject(file string, o deployment.Object) error {
	damaged := func(err error) error { return &damageError{o.SHA256, err} }
	info, err := os.Stat(file)
	if err != nil {
		return damaged(err)
	}
	if info.Size() != o.Size {
		return damaged(fmt.Errorf("%s has %d bytes, the manifest says %d", file, info.Size(), o.Size))
	}
	if o.Size > maxHashed {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return damaged(err)
	}
	if got := deployment.ID(data); got != o.SHA256 {
		return damaged(fmt.Errorf("%s was changed or is damaged: its sha256 is %s; boot another entry, and see `gitboot stage verify`", file, got))
	}
	return nil
}

// mountOverlay joins n layers, the highest first as overlayfs wants them.
// mount(2) cuts its options at 4095 bytes without a word; with names of one to
// three digits, the 500 layers that overlayfs takes fit in half of that.
//
// What overlayfs would note in the writable layer about those below is switched off:
// without it, a layer that is kept may be mounted above others (Linux'
// Documentation/filesystems/overlayfs.rst, "Changes to underlying filesystems").
func mountOverlay(n int, upper string) error {
	if err := os.MkdirAll(newRoot, 0o755); err != nil {
		return err
	}
	if err := os.Chdir(lowerDir); err != nil {
		return err
	}
	defer os.Chdir("/")
	names := make([]string, n)
	for i := range names {
		names[n-1-i] = strconv.Itoa(i)
	}
	options := "lowerdir=" + strings.Join(names, ":") + ",upperdir=" + upper + "/upper,workdir=" + upper + "/work"
	if upper != workDir {
		options += ",index=off,metacopy=off,redirect_dir=off,xino=off"
	}
	if len(options) > maxMount {
		return fmt.Errorf("mounting the overlay: %d layers are more than mount takes; squash some together", n)
	}
	return mount("gitboot", newRoot, "overlay", 0, options)
}
