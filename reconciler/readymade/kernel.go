package readymade

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/initramfs/processor"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/kernel"
	"github.com/gitboot/gitboot/stage"
)

// program is the gitboot-init to publish with, and sum its checksum, "" if there is none.
func (p Publisher) program() (path, sum string, err error) {
	if p.Init == "" {
		return "", "", nil
	}
	path = processor.Program(p.Init, image.Architecture(p.Options.Platform))
	sum, err = initramfs.Checksum(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil // that of another architecture is not installed here
	}
	return path, sum, err
}

// addKernel adds the image's kernel and an initramfs to what is published. An image that
// has none, or none that gitboot boots, is published without.
func (b *bench) addKernel(ctx context.Context, u *image.ArtifactUpload, d *objects.Description) error {
	program, sum, err := b.program()
	if err != nil || sum == "" {
		return err
	}
	d.Init = sum
	k, on, err := b.makeKernel(ctx, program)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		if !errors.As(err, new(*initramfs.NoKernelError)) {
			b.Log.Warn("published without kernel and initramfs: they cannot be made", "image", u.Ref, "error", err)
		}
		return nil
	}
	d.Kernels = []objects.Kernel{k}
	add := func(kind string, f objects.File) {
		o := deployment.Object(f)
		u.Files = append(u.Files, file(kind, o, func() (io.ReadCloser, error) { return stage.OpenIntact(on, o) }))
	}
	add(objects.KernelFile, k.Kernel)
	add(objects.InitramfsFile, k.Initramfs)
	return nil
}

// makeKernel makes both, unless the stage has them, and says where they lie.
func (b *bench) makeKernel(ctx context.Context, init string) (k objects.Kernel, on *stage.Stage, err error) {
	tree, err := inventory.OpenTree(b.holds, b.objects)
	if err != nil {
		return k, nil, err
	}
	defer tree.Close()
	found, err := initramfs.FindKernel(tree, "")
	if err != nil {
		return k, nil, err
	}
	with := initramfs.Options{Init: init}
	if k.Key, err = initramfs.Key(tree, found, with); err != nil {
		return k, nil, err
	}
	var r stage.KernelRecord
	known := false
	if on = b.Stage; on != nil {
		if r, known, err = on.Kernel(k.Key); err != nil {
			return k, nil, err
		}
	}
	if !known {
		if on, err = b.own(); err != nil {
			return k, nil, err
		}
		if r, err = kernel.Add(ctx, on, tree, found, with, b.Progress); err != nil {
			return k, nil, err
		}
	}
	k.Version, k.Path = r.Version, found.Path
	k.Kernel, k.Initramfs = objects.File(r.Kernel), objects.File(r.Initramfs)
	return k, on, nil
}
