package origin

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
)

// Lookups find out what images are: a registry answers, or the server of an
// archive sends it all. One that takes longer than its turn goes on while the
// others are published, and a later run takes what it has found.
type Lookups struct {
	ctx  context.Context // ends them all
	stop context.CancelFunc
	turn time.Duration

	group   sync.WaitGroup
	mu      sync.Mutex
	running map[string]*lookup
}

type lookup struct {
	found
	stop    context.CancelFunc
	done    chan struct{} // closed when it has found
	late    chan struct{} // closed when its turn is over
	asked   bool          // by this run
	waiting int           // who wait for it now, as several parts of a run may
}

// What is found of an image: what it is now, and the image where it was opened.
type found struct {
	origin state.Origin
	opened *image.Image
	err    error
}

// A ComingError says that an image is still being looked up. It is nobody's
// failure.
type ComingError struct{}

func (e *ComingError) Error() string {
	return "its server takes long; the others are published first, and it follows when it is there"
}

// NewLookups returns lookups that end with ctx, and of which each has a turn; 0
// means DefaultTurn.
func NewLookups(ctx context.Context, turn time.Duration) *Lookups {
	l := &Lookups{turn: cmp.Or(turn, DefaultTurn), running: map[string]*lookup{}}
	l.ctx, l.stop = context.WithCancel(ctx)
	return l
}

// do gives what look finds for a key, or a *ComingError if its turn has passed.
func (l *Lookups) do(ctx context.Context, key string, look func(context.Context) found) found {
	if l == nil {
		return look(ctx)
	}
	one := l.begin(key, look)
	defer l.leave(one)
	select {
	case <-one.done:
	case <-one.late:
	case <-ctx.Done():
		return found{err: ctx.Err()}
	}
	if !one.through() { // what was found after its turn is taken all the same
		return found{err: &ComingError{}}
	}
	l.forget(key, one)
	return one.found
}

func (o *lookup) through() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

func (l *Lookups) begin(key string, look func(context.Context) found) *lookup {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.running[key]
	if one == nil {
		one = &lookup{done: make(chan struct{}), late: make(chan struct{})}
		var ctx context.Context
		ctx, one.stop = context.WithCancel(l.ctx)
		over := time.AfterFunc(l.turn, func() { close(one.late) })
		l.group.Go(func() {
			defer close(one.done)
			defer over.Stop()
			one.found = look(ctx)
		})
		l.running[key] = one
	}
	one.asked = true
	one.waiting++
	return one
}

func (l *Lookups) leave(one *lookup) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one.waiting--
}

// forget takes away what is through. Another who waited for it may have done so before,
// and a third have begun anew since.
func (l *Lookups) forget(key string, one *lookup) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one.stop()
	if l.running[key] == one {
		delete(l.running, key)
	}
}

// sweep ends those that the run before did not ask for and nobody waits for, and returns
// the others.
func (l *Lookups) sweep() (left []*lookup) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, one := range l.running {
		if !one.asked && one.waiting == 0 {
			one.stop()
			delete(l.running, key)
			continue
		}
		one.asked = false
		left = append(left, one)
	}
	return left
}

// Sweep ends those that the run before did not ask for.
func (l *Lookups) Sweep() { l.sweep() }

// Wait waits for one of those that the run before asked for in vain, and reports
// whether there is one.
func (l *Lookups) Wait(ctx context.Context) bool {
	left := l.sweep()
	if len(left) == 0 {
		return false
	}
	select {
	case <-First(left, func(one *lookup) <-chan struct{} { return one.done }):
		return true
	case <-ctx.Done():
		return false
	}
}

// End ends them all.
func (l *Lookups) End() {
	l.stop()
	l.group.Wait()
}

// Resolve finds the digest that an image's declaration stands for now. A
// registry is asked only when the declaration is new, when its update schedule
// is due, or when the run was told to; an archive is opened only when its file
// changed. The opened image is returned where it was opened. On an error it
// returns what was known; that is a *ComingError if the turn is over.
func (f *Finder) Resolve(ctx context.Context, known state.Origin, want spec.Image, files fs.FS) (state.Origin, *image.Image, error) {
	trust, err := signers(want, files)
	if err != nil {
		return known, nil, err
	}
	got := f.Lookups.do(ctx, lookupKey("resolve", want, known.Digest, trust.Keys.Sum()), func(ctx context.Context) (got found) {
		got.origin, got.opened, got.err = f.find(ctx, known, want, trust, files)
		return got
	})
	if got.err != nil {
		return known, nil, got.err
	}
	return got.origin, got.opened, nil
}

// Open opens an image at a digest.
func (f *Finder) Open(ctx context.Context, want spec.Image, digest string, files fs.FS) (*image.Image, error) {
	got := f.Lookups.do(ctx, lookupKey("open", want, digest), func(ctx context.Context) (got found) {
		got.opened, got.err = f.openNow(ctx, want, digest, files)
		return got
	})
	return got.opened, got.err
}

// lookupKey tells by what is asked, and for whom. A declaration that cannot be
// hashed fails where it is looked up.
func lookupKey(what string, want spec.Image, from ...string) string {
	declared, _ := Declaration(want)
	return fmt.Sprintln(what, want.Name, declared, want.LayerSize, from)
}
