package parcel

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/source"
)

// Import makes a run as the config repo and the registries would have it that a parcel
// stands for. Nobody else is asked.
func Import(ctx context.Context, cfg reconciler.Config, dir string, req reconciler.Request) (reconciler.Result, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return reconciler.Result{}, err
	}
	from := Folder(dir)
	l, err := from.finished()
	if err != nil {
		return reconciler.Result{}, err
	}
	if !slices.Contains(l.Machines, cfg.Machine) {
		return reconciler.Result{}, fmt.Errorf("%s is for %s, and this machine is %q; make one with `gitboot stage export --for %s`", dir, strings.Join(l.Machines, ", "), cfg.Machine, cfg.Machine)
	}
	cfg.Source.URL, cfg.Source.Mirrors, cfg.Source.Safe = from.repo(), nil, append(slices.Clone(cfg.Source.Safe), from.repo())
	r, err := reconciler.New(cfg)
	if err != nil {
		return reconciler.Result{}, err
	}
	r.Machine.Find.Options.Local = from.handler()
	r.Shop.Find.Options.Local = from.handler()
	req.Update = true
	result, err := r.Run(ctx, req)
	err = from.unread(err, cfg.Source.Ref)
	for name, failed := range result.Failed {
		result.Failed[name] = lacking(l, failed)
	}
	return result, err
}

// unread is the error of a run whose config repo could not be read at all: that is not for
// who names a repo to mend, unless it names a ref that nobody followed who made the parcel.
// Other errors are returned as they are.
func (f Folder) unread(err error, ref string) error {
	var repo *source.UnreachableError
	var none *source.NoRefError
	switch {
	case errors.As(err, &repo):
		err = repo.Err
	case ref == "" && errors.As(err, &none):
		err = errors.New(none.What)
	default:
		return err
	}
	return fmt.Errorf("reading the config repo in %s: %w; the parcel is not what it was when it was made: make it again", f, err)
}

// lacking says why something may not be in a parcel.
func lacking(l Listing, err error) error {
	switch {
	case !errors.As(err, new(*image.NotFoundError)):
		return err
	case len(l.Since) > 0:
		return fmt.Errorf("%w; the parcel was made for machines that have %s: make one with an older --since, or without", err, strings.Join(l.Since, ", "))
	}
	return fmt.Errorf("%w; the parcel is not what it was when it was made: make it again", err)
}
