package origin

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/reconciler/state"
)

func digest(name string) found { return found{origin: state.Origin{Digest: name}} }

// waitsFor is a lookup that goes on until it is let go or ended.
func waitsFor(let <-chan struct{}, gives found) func(context.Context) found {
	return func(ctx context.Context) found {
		select {
		case <-let:
			return gives
		case <-ctx.Done():
			return found{err: ctx.Err()}
		}
	}
}

// Without lookups that go on, all is waited for.
func TestNoLookups(t *testing.T) {
	var none *Lookups
	if got := none.do(t.Context(), "a", func(context.Context) found { return digest("x") }); got.origin.Digest != "x" || got.err != nil {
		t.Errorf("%+v", got)
	}
}

// What is through within its turn is given at once, and asked again next time.
func TestALookupInTime(t *testing.T) {
	l := NewLookups(t.Context(), time.Hour)
	defer l.End()
	for _, name := range []string{"x", "y"} {
		if got := l.do(t.Context(), "a", func(context.Context) found { return digest(name) }); got.origin.Digest != name || got.err != nil {
			t.Errorf("%+v", got)
		}
	}
	broken := errors.New("broken")
	if got := l.do(t.Context(), "a", func(context.Context) found { return found{err: broken} }); got.err != broken {
		t.Errorf("%+v", got)
	}
	if len(l.running) > 0 {
		t.Errorf("%d go on", len(l.running))
	}
	if l := NewLookups(t.Context(), 0); l.turn != DefaultTurn {
		t.Errorf("a turn lasts %s", l.turn)
	}
}

// What takes longer goes on for as long as runs ask for it.
func TestALookupTakesLong(t *testing.T) {
	l := NewLookups(t.Context(), time.Millisecond)
	let := make(chan struct{})
	coming := func(key string) bool {
		t.Helper()
		got := l.do(t.Context(), key, waitsFor(let, digest(key)))
		return errors.As(got.err, new(*ComingError))
	}
	if !coming("kept") || !coming("left") {
		t.Fatal("both are there")
	}
	l.Sweep() // both were asked for by the run that ends here
	if !coming("kept") {
		t.Fatal("it is there")
	}
	l.Sweep() // left was not
	if len(l.running) != 1 || l.running["kept"] == nil {
		t.Errorf("%d go on", len(l.running))
	}
	close(let)
	<-l.running["kept"].done
	kept := l.running["kept"]
	for range 20 { // its turn is over, too
		l.running["kept"] = kept
		if got := l.do(t.Context(), "kept", func(context.Context) found { return digest("asked anew") }); got.origin.Digest != "kept" {
			t.Fatalf("%+v", got)
		}
	}
	l.End()
}

// Who asks and is ended is told so, and the lookup goes on for others; the end of
// all ends it.
func TestLookupsEnd(t *testing.T) {
	l := NewLookups(t.Context(), time.Hour)
	ended, end := context.WithCancel(t.Context())
	end()
	if got := l.do(ended, "a", waitsFor(nil, digest("x"))); !errors.Is(got.err, context.Canceled) {
		t.Errorf("%+v", got)
	}
	if l.Wait(ended) {
		t.Error("who is ended has waited")
	}
	one := l.running["a"]
	l.End()
	if <-one.done; !errors.Is(one.err, context.Canceled) {
		t.Errorf("%+v", one.found)
	}
	if l = NewLookups(t.Context(), time.Hour); l.Wait(t.Context()) {
		t.Error("nothing is waited for")
	}
}

// The first of several wakes who waits, and the others wake nobody twice.
func TestFirst(t *testing.T) {
	a, b := make(chan struct{}), make(chan struct{})
	came := First([]chan struct{}{a, b}, func(c chan struct{}) <-chan struct{} { return c })
	close(b)
	<-came
	select {
	case <-came:
		t.Error("the other came, too")
	default:
	}
	close(a)
	<-came
}

// What one part of a run has done with, or has not asked for, does not end what another
// waits for.
func TestLookupsAreShared(t *testing.T) {
	l := NewLookups(t.Context(), time.Hour)
	defer l.End()
	var parts errgroup.Group
	for range 4 {
		parts.Go(func() error {
			for range 2000 {
				got := l.do(t.Context(), "a", func(ctx context.Context) found {
					runtime.Gosched()
					return found{err: ctx.Err()}
				})
				if got.err != nil {
					return got.err
				}
				l.Sweep()
			}
			return nil
		})
	}
	if err := parts.Wait(); err != nil {
		t.Error(err)
	}
}
