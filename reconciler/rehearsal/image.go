package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/kernel"
	"github.com/gitboot/gitboot/stage"
)

// An Image is a root file system that is nobody's deployment yet: no hooks are
// above it.
type Image struct {
	Name   string
	Layers []stage.Tar
	// Kernel and KernelArgs are as the image declares them; Init is gitboot-init.
	Kernel     string
	KernelArgs []string
	Init       string
}

// squashedAtOnce is as machines stage what was built here.
const squashedAtOnce = 1

// JudgeImage stages an image in a folder below dir, which is gone afterwards, and
// boots it until it is judged.
func JudgeImage(ctx context.Context, img Image, dir string, o Options) (out Outcome, err error) {
	temp, err := os.MkdirTemp(dir, "rehearsal-")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	st, err := stage.Create(filepath.Join(temp, "stage"))
	if err != nil {
		return out, err
	}
	m, err := img.stage(ctx, st, o.Progress)
	if err != nil {
		return out, fmt.Errorf("stage %s for its rehearsal: %w", img.Name, err)
	}
	o.Temp = temp
	return Judge(ctx, Deployment{Manifest: m, Object: st.ObjectPath}, o)
}

func (i Image) stage(ctx context.Context, st *stage.Stage, sink progress.Sink) (*deployment.Manifest, error) {
	layers, err := st.AddLayers(ctx, i.Layers, squashedAtOnce)
	if err != nil {
		return nil, err
	}
	tree, err := inventory.OpenTree(st, layers)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	found, err := initramfs.FindKernel(tree, i.Kernel)
	if err != nil {
		return nil, err
	}
	if _, err := initramfs.FindInit(tree, i.KernelArgs); err != nil {
		return nil, err
	}
	made, err := kernel.Add(ctx, st, tree, found, initramfs.Options{Init: i.Init}, sink)
	if err != nil {
		return nil, err
	}
	return &deployment.Manifest{
		Version: deployment.Version, Image: i.Name, Kernel: made.Kernel, Initramfs: made.Initramfs, KernelVersion: made.Version,
		KernelArgs: i.KernelArgs, Layers: layers,
	}, nil
}
