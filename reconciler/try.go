package reconciler

import (
	"context"
	"strings"

	"github.com/gitboot/gitboot/reconciler/state"
)

// A Trial says what is to be tried.
type Trial struct {
	// Name is an image's reference, or a commit, a branch or a tag of the config
	// repo.
	Name string
	// Wait waits for another run's lock instead of failing.
	Wait bool
}

// Try stages something for one boot, the next, and has the boot loader boot it
// then.
func (r *Reconciler) Try(ctx context.Context, t Trial) (state.Trial, error) {
	w, err := r.read(ctx, Request{Wait: t.Wait}, nil)
	if err != nil {
		return state.Trial{}, err
	}
	want, err := r.Repo.Foreign(ctx, w, t.Name)
	if err != nil {
		return state.Trial{}, err
	}
	return r.Machine.Try(ctx, w, want, t.Name, t.Wait)
}

// isReference reports whether a name is an image's rather than git's: it names a
// registry, or has a colon, which git's names cannot have.
func isReference(name string) bool {
	host, _, path := strings.Cut(name, "/")
	return strings.ContainsRune(name, ':') || path && (strings.Contains(host, ".") || host == "localhost")
}
