package doctor

import (
	"context"
	"errors"
	"sync"

	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/stage"
)

// A visit is one examination: what several checks want to know is found out once.
type visit struct {
	Patient
	// r is nil where the stage, or what else it takes, is not in order; then
	// unopened says why.
	r        *reconciler.Reconciler
	unopened error
	wants    func() (*wanted.Wanted, error)
	doc      func() (*state.Machine, error)
}

// errUnset is why nothing is known of a config repo that is not named.
var errUnset = errors.New("no config repo is named")

func (p Patient) visit(ctx context.Context) (v *visit, done func() error) {
	v, done = &visit{Patient: p}, func() error { return nil }
	if p.Settings != nil {
		v.unopened = p.Settings
	} else if r, closeIt, err := reconciler.Preview(p.Config); err != nil {
		v.unopened = err
	} else {
		v.r, done = r, closeIt
	}
	v.doc = sync.OnceValues(func() (*state.Machine, error) { return state.LoadMachine(p.Config.Stage) })
	v.wants = sync.OnceValues(func() (*wanted.Wanted, error) { return v.read(ctx) })
	return v, done
}

// read asks the config repo what it wants of this machine or, offline, what it
// wanted last.
func (v *visit) read(ctx context.Context) (*wanted.Wanted, error) {
	switch {
	case v.unopened != nil:
		return nil, v.unopened
	case v.Config.Source.URL == "":
		return nil, errUnset
	}
	ctx, cancel := context.WithTimeout(ctx, v.Patience)
	defer cancel()
	if !v.Offline || v.r.Repo.Folder() != "" {
		return v.r.Wanted(ctx)
	}
	doc, err := v.doc()
	if err != nil {
		return nil, err
	}
	if doc.Revision == "" {
		return nil, errors.New("nothing was applied yet, and the config repo is not asked with --offline")
	}
	return v.r.Repo.At(ctx, v.r.Machine.Stage.Repo(), doc.Revision)
}

// staged opens the stage, for checks of what is on it; without one they are
// skipped.
func (v *visit) staged() (*state.Machine, *stage.Stage, []Finding) {
	if v.r == nil {
		return nil, nil, skip("the stage could not be opened")
	}
	st, err := stage.Open(v.Config.Stage)
	if errors.Is(err, stage.ErrNone) {
		return nil, nil, skip("there is no stage yet")
	}
	if err != nil {
		return nil, nil, skip("the stage could not be opened")
	}
	doc, err := v.doc()
	if err != nil {
		return nil, nil, skip("the state could not be read")
	}
	return doc, st, nil
}
