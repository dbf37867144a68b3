package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/lab"
)

// initramfsCommand makes this program build an initramfs and exit.
const initramfsCommand = "build-initramfs"

// buildInitramfs is that command: OUT INIT LAYER…
func buildInitramfs(ctx context.Context, args []string) error {
	if len(args) < 3 {
		return errors.New("usage: bench " + initramfsCommand + " OUT INIT LAYER…")
	}
	tree, err := rootfs.OpenTree(args[2:])
	if err != nil {
		return err
	}
	defer tree.Close()
	kernel, err := initramfs.FindKernel(tree, "")
	if err != nil {
		return err
	}
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	_, err = initramfs.Build(ctx, tree, kernel, initramfs.Options{Init: args[1]}, f)
	return errors.Join(err, f.Close())
}

// A generator is another program that makes an initramfs, run in a root of its
// own. Its command sees the kernel's version as $1 and writes to /out.
type generator struct {
	name     string
	packages []string
	command  string
}

var (
	initramfsTools = generator{"initramfs-tools", []string{"initramfs-tools"}, "mkinitramfs -c zstd -o /out $1"}
	dracut         = generator{"dracut", []string{"dracut", "dracut-live"}, "dracut --force --quiet --no-hostonly --zstd /out $1"}
)

// A genericKernel is Debian's kernel for real hardware, as a root file system's
// tar and as a layer.
type genericKernel struct{ tar, layer string }

func (s *site) genericKernel(ctx context.Context) (*genericKernel, error) {
	if s.generic != nil {
		return s.generic, nil
	}
	path, err := lab.RootFS(ctx, lab.BookwormGeneric)
	if err != nil {
		return nil, err
	}
	layer := s.path("generic.squashfs")
	if _, err := script(ctx, fmt.Sprintf("tar2sqfs -q -c zstd -X level=3 %s < %s", layer, path)); err != nil {
		return nil, err
	}
	s.generic = &genericKernel{path, layer}
	return s.generic, nil
}

// initramfsAgainst compares times and sizes.
func initramfsAgainst(g generator) func(context.Context, *site, row) (result, error) {
	return func(ctx context.Context, s *site, r row) (result, error) {
		kernel, err := s.genericKernel(ctx)
		if err != nil {
			return result{}, err
		}
		root, err := s.peerRoot(ctx, g.name, g.packages, kernel.tar)
		if err != nil {
			return result{}, err
		}
		self, err := os.Executable()
		if err != nil {
			return result{}, err
		}
		out := s.path("initramfs")
		ours := side{
			command: "bench " + initramfsCommand + " OUT gitboot-init LAYER (initramfs.Build, as reconcile calls it)",
			run: func(ctx context.Context, _ int) (usage, error) {
				return command(ctx, self, initramfsCommand, out, s.path("bin", "gitboot-init"), kernel.layer)
			},
		}
		theirs, err := g.side(root)
		if err != nil {
			return result{}, err
		}
		res, err := timed(ctx, r, ours, theirs, func(ratio float64) check { return fasterBy(ratio, 12) })
		if err != nil {
			return res, err
		}
		peak, err := withPeak(ctx, self, initramfsCommand, out, s.path("bin", "gitboot-init"), kernel.layer)
		if err != nil {
			return res, err
		}
		res.Note = fmt.Sprintf("Ours takes %s of memory at most", megabytes(peak.Peak.Self))
		return res, res.addSizes(out, filepath.Join(root, "out"))
	}
}

func (g generator) side(root string) (side, error) {
	version, err := kernelVersion(root)
	return side{
		command: "chroot ROOT " + g.command,
		run: func(ctx context.Context, _ int) (usage, error) {
			return command(ctx, "chroot", root, "sh", "-c", g.command, "sh", version)
		},
	}, err
}

// addSizes compares the sizes of two files, ours first.
func (r *result) addSizes(ours, theirs string) error {
	a, err1 := os.Stat(ours)
	b, err2 := os.Stat(theirs)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	ratio := float64(a.Size()) / float64(b.Size())
	r.Ours += ", " + megabytes(a.Size())
	r.Theirs += ", " + megabytes(b.Size())
	r.Checks = append(r.Checks, check{"at most a third of the size", fmt.Sprintf("%.3g of it", ratio), ratio <= 1.0/3})
	return nil
}
