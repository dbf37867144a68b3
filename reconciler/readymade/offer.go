package readymade

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
)

// A Wish is what a machine would make of an image's kernel.
type Wish struct {
	Image string
	// Pick says which kernel; see initramfs.FindKernel.
	Pick string
	initramfs.Options
	// Sum is the checksum of gitboot-init.
	Sum string
	// Again is as stage.Fetched has it.
	Again    func(error) bool
	Log      *slog.Logger
	Progress progress.Sink
}

// An Offer is a kernel, and an initramfs for it, that others have made and published. It
// is fetched on trial, beside the layers: whether it is made of the same as here is known
// only with them. A nil one is none.
type Offer struct {
	key    string
	log    *slog.Logger
	stop   context.CancelFunc
	done   chan struct{}
	record stage.KernelRecord
	err    error
}

// Offered begins to fetch what others have made and the wish may be for, nil if there is
// nothing of that kind or it is on the stage.
func Offered(ctx context.Context, st *stage.Stage, published []image.MadeKernel, w Wish) *Offer {
	if !generic(w.Options) {
		return nil
	}
	for _, k := range published {
		boots, err := initramfs.Kernel{Version: k.Version, Path: k.Path}.Matches(w.Pick)
		if err != nil || !boots || k.Init != w.Sum {
			continue
		}
		if _, known, err := st.Kernel(k.Key); err != nil || known {
			return nil
		}
		o := &Offer{key: k.Key, log: w.Log, done: make(chan struct{})}
		ctx, o.stop = context.WithCancel(ctx)
		go func() {
			defer close(o.done)
			o.record, o.err = fetchKernel(ctx, st, k, w)
		}()
		return o
	}
	return nil
}

// generic reports whether an initramfs has nothing but what most machines need: such ones
// are published.
func generic(o initramfs.Options) bool {
	return len(o.Modules)+len(o.Assembles) == 0 && !o.Verity && !o.Medium && o.Recovery == nil
}

func fetchKernel(ctx context.Context, st *stage.Stage, k image.MadeKernel, w Wish) (stage.KernelRecord, error) {
	r := recordOf(k)
	task := progress.Start(w.Progress, "fetch kernel and initramfs of "+w.Image, r.Kernel.Size+r.Initramfs.Size)
	group, ctx := errgroup.WithContext(ctx)
	for _, what := range []stage.Fetched{{Object: r.Kernel, Open: k.OpenKernel, Again: w.Again}, {Object: r.Initramfs, Open: k.OpenInitramfs, Again: w.Again}} {
		group.Go(func() error { return stage.Fetch(ctx, st, what, task) })
	}
	err := group.Wait()
	task.End(err)
	return r, err
}

func recordOf(k image.MadeKernel) stage.KernelRecord {
	return stage.KernelRecord{Version: k.Version, Kernel: deployment.Object(k.Kernel.Kernel), Initramfs: deployment.Object(k.Initramfs)}
}

// Take waits for what is made of what has a key, and reports whether it is there.
func (o *Offer) Take(key string) (stage.KernelRecord, bool) {
	if o == nil || o.key != key {
		return stage.KernelRecord{}, false
	}
	<-o.done
	if o.err != nil {
		if !errors.Is(o.err, context.Canceled) {
			o.log.Warn("the initramfs is made here: what others have made cannot be had", "kernel", o.record.Version, "error", o.err)
		}
		return stage.KernelRecord{}, false
	}
	return o.record, true
}

// End gives up what nobody took. What of it is there is collected as garbage.
func (o *Offer) End() {
	if o != nil {
		o.stop()
		<-o.done
	}
}

// CompareKernel holds what was made of a kernel here against what others have published
// that is made of the same.
func CompareKernel(published []image.MadeKernel, key string, ours stage.KernelRecord) error {
	for _, k := range published {
		if k.Key != key || recordOf(k) == ours {
			continue
		}
		what, theirs, here := "kernel", k.Kernel.Kernel.SHA256, ours.Kernel.SHA256
		if theirs == here {
			what, theirs, here = "initramfs", k.Initramfs.SHA256, ours.Initramfs.SHA256
		}
		return fmt.Errorf("%s %s: what was published is object %.12s, and what it becomes here is %.12s: whoever signed that published something else, or makes it with another gitboot; have it published anew, and look at who can sign, before other machines take it", what, k.Version, theirs, here)
	}
	return nil
}
