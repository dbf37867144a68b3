package parcel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/documents"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/library"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source/bare"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
)

// An Order says what is to be in a parcel.
type Order struct {
	Machines []string
	// Since are names of generations of this stage whose layers those machines have.
	Since []string
	// To is the folder, and Scratch one with room for what has to be made.
	To, Scratch string
	// Key signs what is made, nil if nobody does.
	Key      *cosign.Signer
	Log      *slog.Logger
	Progress progress.Sink
}

// An Exported says what became of an order.
type Exported struct {
	Listing
	// Objects and Bytes are what was written.
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Left are images that are not in it, with the reason.
	Left map[string]string `json:"left"`
}

// Export makes a parcel of what machines want of the revision that was applied to this
// stage last. What is staged here is as it is; other images are fetched.
func Export(ctx context.Context, cfg reconciler.Config, o Order) (out Exported, err error) {
	defer func() { err = durable.Failing(o.To, err) }()
	r, err := reconciler.Existing(cfg)
	if err != nil {
		return out, err
	}
	doc, err := state.LoadMachine(r.Machine.Stage.Dir())
	if err != nil {
		return out, err
	}
	if doc.Revision == "" {
		return out, fmt.Errorf("the stage %s has no revision of a config repo yet; `gitboot reconcile --once` applies one", r.Machine.Stage.Dir())
	}
	e := &exporter{Order: o, r: r, to: Folder(o.To), done: map[Image]bool{}, named: map[string]bool{}, has: map[deployment.Object]bool{}}
	e.out.Listing = Listing{Version: version, Machines: slices.Sorted(slices.Values(o.Machines)), Revision: doc.Revision, Made: r.Machine.Now().UTC(), Since: o.Since}
	e.out.Images, e.out.Left = []Image{}, map[string]string{}
	if err := e.leaveOut(doc); err != nil {
		return out, err
	}
	if e.staged, err = library.On(r.Machine.Stage).Images(); err != nil {
		return out, err
	}
	var wants []*wanted.Wanted
	for _, name := range e.out.Machines {
		w, err := e.wants(ctx, name)
		if err != nil {
			return out, err
		}
		wants = append(wants, w)
	}
	if err := e.to.begin(); err != nil {
		return out, err
	}
	for i, name := range e.out.Machines {
		if err := e.machine(ctx, name, wants[i]); err != nil {
			return out, fmt.Errorf("machine %q: %w", name, err)
		}
	}
	if err := bare.Copy(ctx, r.Machine.Stage.Repo(), r.Repo.Source.Ref, doc.Revision, e.to.repo(), o.Log); err != nil {
		return out, err
	}
	return e.out, e.to.finish(e.out.Listing, e.named)
}

// An exporter fills one parcel.
type exporter struct {
	Order
	r  *reconciler.Reconciler
	to Folder
	// staged are the images whose documents are on the stage.
	staged []documents.Image
	// done are the images that are in it, named the objects, and has those that the
	// machines have.
	done  map[Image]bool
	named map[string]bool
	has   map[deployment.Object]bool
	out   Exported
}

// leaveOut notes the layers of generations that the machines have.
func (e *exporter) leaveOut(doc *state.Machine) error {
	for _, name := range e.Since {
		found, err := doc.Find(name)
		if err != nil {
			return err
		}
		m, err := e.r.Machine.Stage.Deployment(found.Deployment)
		if err != nil {
			return err
		}
		for _, o := range m.Layers {
			e.has[o] = true
		}
	}
	return nil
}

// wants are a machine's at the revision.
func (e *exporter) wants(ctx context.Context, name string) (*wanted.Wanted, error) {
	repo := e.r.Repo
	repo.Machine, repo.MachineFrom, repo.MachineID, repo.OrImage = name, "--for", "", false
	w, err := repo.At(ctx, e.r.Machine.Stage.Repo(), e.out.Revision)
	if unknown := (*wanted.MachineError)(nil); errors.As(err, &unknown) {
		err = fmt.Errorf("revision %s of the config repo has no machine %q; it has: %s", plan.Short(e.out.Revision), name, strings.Join(unknown.Known, ", "))
	}
	return w, err
}

func (e *exporter) machine(ctx context.Context, name string, w *wanted.Wanted) error {
	for _, want := range w.Wants.Images {
		switch {
		case want.Build != nil:
			e.out.Left[want.Name] = "it is built by " + name + " itself"
		case want.Archive != nil && !want.Archive.InRepo:
			e.out.Left[want.Name] = "it is an archive outside of the config repo"
		case want.Pull != nil:
			if err := e.image(ctx, want, w.Files); err != nil {
				return fmt.Errorf("image %q: %w", want.Name, err)
			}
		}
	}
	return nil
}
