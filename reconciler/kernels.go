package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/initramfs/handoff"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
)

// kernels puts each image's kernel and an initramfs for it on the stage. Both
// are made once per kernel: images and generations that share one share them.
func (a *application) kernels(ctx context.Context) error {
	return a.each(ctx, "kernel and initramfs", func(ctx context.Context, s *staging) error {
		tree, err := a.openTree(s)
		if err != nil {
			return err
		}
		defer tree.Close()
		kernel, err := tree.FindKernel(s.Inputs.Kernel)
		if err != nil {
			return err
		}
		opts := initramfs.Options{Init: a.Init}
		key, err := initramfs.Key(tree, kernel, opts)
		if err != nil {
			return err
		}
		record, ok, err := a.stage.Kernel(key)
		if err == nil && !ok {
			record, err = a.makeKernel(ctx, tree, kernel, opts, key)
		}
		s.boot = record
		return err
	})
}

func (a *application) openTree(s *staging) (*initramfs.Tree, error) {
	paths := make([]string, len(s.layers))
	for i, obj := range s.layers {
		paths[i] = a.stage.ObjectPath(obj)
	}
	return initramfs.OpenTree(paths)
}

func (a *application) makeKernel(ctx context.Context, tree *initramfs.Tree, kernel initramfs.Kernel, opts initramfs.Options, key string) (stage.KernelRecord, error) {
	record := stage.KernelRecord{Version: kernel.Version}
	file, err := tree.OpenFile(kernel.Path)
	if err != nil {
		return record, fmt.Errorf("open kernel %s: %w", kernel.Path, err)
	}
	defer file.Close()
	if record.Kernel, err = a.stage.AddFile(ctx, file); err != nil {
		return record, err
	}
	if record.Initramfs, err = a.addInitramfs(ctx, tree, kernel, opts); err != nil {
		return record, err
	}
	return record, a.stage.PutKernel(key, record)
}

// addInitramfs streams the initramfs into an object while it is made.
func (a *application) addInitramfs(ctx context.Context, tree *initramfs.Tree, kernel initramfs.Kernel, opts initramfs.Options) (handoff.Object, error) {
	task := progress.Start(a.Progress, "initramfs for "+kernel.Version, 0)
	r, w := io.Pipe()
	built := make(chan error, 1)
	go func() {
		_, err := initramfs.Build(ctx, tree, kernel, opts, io.MultiWriter(w, task))
		w.CloseWithError(err)
		built <- err
	}()
	obj, err := a.stage.AddFile(ctx, r)
	r.CloseWithError(errors.New("the object was not stored"))
	if buildErr := <-built; buildErr != nil {
		err = buildErr
	}
	task.End(err)
	return obj, err
}
