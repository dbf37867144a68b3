// Package kernel puts what a boot loader loads on a stage: an image's kernel, and
// the initramfs that is made for it.
package kernel

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/stage"
)

// Add stores a kernel of a root file system, and beside it an initramfs for it.
func Add(ctx context.Context, st *stage.Stage, tree *rootfs.Tree, k initramfs.Kernel, o initramfs.Options, sink progress.Sink) (stage.KernelRecord, error) {
	record := stage.KernelRecord{Version: k.Version}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		record.Kernel, err = addKernel(ctx, st, tree, k)
		return err
	})
	group.Go(func() (err error) {
		record.Initramfs, err = addInitramfs(ctx, st, tree, k, o, sink)
		return err
	})
	return record, group.Wait()
}

func addKernel(ctx context.Context, st *stage.Stage, tree *rootfs.Tree, k initramfs.Kernel) (deployment.Object, error) {
	file, err := tree.OpenFile(k.Path)
	if err != nil {
		return deployment.Object{}, fmt.Errorf("open kernel %s: %w", k.Path, err)
	}
	defer file.Close()
	plain, err := unpacked(file)
	if err != nil {
		return deployment.Object{}, fmt.Errorf("unpack kernel %s: %w", k.Path, err)
	}
	o, err := st.AddFile(ctx, plain)
	if err != nil {
		return o, fmt.Errorf("store kernel %s: %w", k.Path, err)
	}
	return o, nil
}

// addInitramfs streams the initramfs into an object while it is made.
func addInitramfs(ctx context.Context, st *stage.Stage, tree *rootfs.Tree, k initramfs.Kernel, o initramfs.Options, sink progress.Sink) (deployment.Object, error) {
	task := progress.Start(sink, "initramfs for "+k.Version, 0)
	r, w := io.Pipe()
	built := make(chan error, 1)
	go func() {
		_, err := initramfs.Build(ctx, tree, k, o, io.MultiWriter(w, task))
		w.CloseWithError(err)
		built <- err
	}()
	obj, err := st.AddFile(ctx, r)
	r.CloseWithError(errors.New("the object was not stored"))
	if buildErr := <-built; buildErr != nil {
		err = buildErr
	}
	task.End(err)
	return obj, err
}
