package main

import (
	"context"
	"fmt"
)

// changing makes a world of Debian and a small layer, staged, whose small
// layer change replaces.
func (s *site) changing(ctx context.Context, extra string) (*world, error) {
	base, err := s.image(ctx, "gzip")
	if err != nil {
		return nil, err
	}
	ref, err := s.withLayer(ctx, base, "top0", 0)
	if err != nil {
		return nil, err
	}
	w, err := s.newWorld(ctx, ref, extra)
	if err != nil {
		return nil, err
	}
	_, err = w.reconcile(ctx)
	return w, err
}

// change pushes the image with another small layer and commits its name.
func (w *world) change(ctx context.Context, round int) error {
	base, err := w.site.image(ctx, "gzip")
	if err != nil {
		return err
	}
	ref, err := w.site.withLayer(ctx, base, fmt.Sprintf("top%d", round+1), round+1)
	if err != nil {
		return err
	}
	return w.want(ctx, ref)
}

func layerDarch(ctx context.Context, s *site, r row) (result, error) {
	w, err := s.changing(ctx, "")
	if err != nil {
		return result{}, err
	}
	// The blobs of the image before are kept, so that only the small one is
	// pulled.
	d := s.newDarch(w)
	theirs := d.side(func(ctx context.Context, round int) error {
		if round > 0 {
			return d.forgetOutput()
		}
		if err := d.forget(); err != nil {
			return err
		}
		base, err := s.image(ctx, "gzip")
		if err != nil {
			return err
		}
		return d.pull(ctx, base)
	})
	return timed(ctx, r, w.ours(w.change), theirs, func(ratio float64) check { return fasterBy(ratio, 90) })
}

func hookDarch(ctx context.Context, s *site, r row) (result, error) {
	w, err := s.changing(ctx, "")
	if err != nil {
		return result{}, err
	}
	ours := w.ours(func(ctx context.Context, round int) error {
		if err := w.repo.Replace("gitboot.toml", "hello", "hello again"); err != nil {
			return err
		}
		_, err := w.repo.Commit(ctx, "Greet again")
		return err
	})
	d := s.newDarch(w)
	if err := d.forget(); err != nil {
		return result{}, err
	}
	theirs := d.side(func(context.Context, int) error { return d.forgetOutput() })
	res, err := timed(ctx, r, ours, theirs, func(ratio float64) check { return fasterBy(ratio, 150) })
	res.Note = "Ours: from the commit to the renamed menu. Theirs stages the image again with all its blobs there, because what a hook writes is part of the tree that is squashed."
	return res, err
}

func layerOSTree(ctx context.Context, s *site, r row) (result, error) {
	w, err := s.changing(ctx, "")
	if err != nil {
		return result{}, err
	}
	o, err := s.newOSTree(ctx)
	if err != nil {
		return result{}, err
	}
	return timed(ctx, r, w.ours(w.change), o.side(), func(ratio float64) check { return fasterBy(ratio, 1) })
}

// generations stages ten images that differ in a small layer.
func generations(ctx context.Context, s *site, _ row) (result, error) {
	w, err := s.changing(ctx, "")
	if err != nil {
		return result{}, err
	}
	one, err := diskUse(w.stage)
	if err != nil {
		return result{}, err
	}
	for n := range 9 {
		if err := w.change(ctx, n); err != nil {
			return result{}, err
		}
		if _, err := w.reconcile(ctx); err != nil {
			return result{}, err
		}
	}
	ten, err := diskUse(w.stage)
	if err != nil {
		return result{}, err
	}
	kept, err := w.generations()
	if err == nil && kept != 10 {
		err = fmt.Errorf("there are %d generations on the stage instead of 10", kept)
	}
	return result{
		Ours: megabytes(ten), Theirs: megabytes(one),
		Checks:   []check{atMost(float64(ten)/float64(one), 1.05)},
		Commands: []string{"du -s STAGE, after ten commits with keep = 10", "du -s STAGE, after the first"},
	}, err
}
