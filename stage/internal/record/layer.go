package record

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage/squash"
)

// RewriterVersion changes when a layer becomes another object than before, so
// that layers on the stage are made again.
const RewriterVersion = 2

// plainRewriter knew no lacks: a folder without an entry became root's, 0755
// and of the year 1970. Its objects are right where no such folder is one that
// lower layers show otherwise.
const plainRewriter = 1

// A Layer is the form of layers/<hex>.json.
type Layer struct {
	DiffID string `json:"diffID"`
	// Blob is the digest of the stored layer that was read, if the tar in it
	// was not hashed itself. Another blob that claims the same diff id is
	// then not taken for this one: an image may claim what it likes.
	Blob string `json:"blob,omitempty"`
	// Object is the layer where it takes nothing from those below it.
	Object   deployment.Object `json:"object,omitzero"`
	Rewriter int               `json:"rewriter"`
	Squasher string            `json:"squasher"`
	// Lacks are what it takes from them, if they have it; nil: nothing.
	Lacks *squash.Lacks `json:"lacks,omitempty"`
	// Above are the objects that it became above layers that have some.
	Above []Above `json:"above,omitempty"`
}

// An Above is what a layer became with what was taken.
type Above struct {
	Taken  string            `json:"taken"` // its hash
	Object deployment.Object `json:"object"`
}

// Layers are the records of a stage's layers.
type Layers struct {
	Dir string
	// Path is where an object lies, Has reports whether it does.
	Path func(deployment.Object) string
	Has  func(deployment.Object) (bool, error)
	Log  *slog.Logger
}

func (s Layers) path(diffID string) (string, error) {
	hex, ok := strings.CutPrefix(diffID, "sha256:")
	if !ok || !deployment.IsHash(hex) {
		return "", fmt.Errorf("layer %q: a diff id is sha256: and 64 hex digits", diffID)
	}
	return filepath.Join(s.Dir, hex+".json"), nil
}

// Read returns the record of a layer, nil if there is none that is of use.
func (s Layers) Read(diffID string) (*Layer, error) {
	path, err := s.path(diffID)
	if err != nil {
		return nil, err
	}
	r, err := Read[Layer](path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		// Records are a memory of what was done: it can be done again.
		s.Log.Warn("ignoring an unreadable layer record", "path", path, "error", err)
		return nil, nil
	case r.DiffID != diffID || r.Rewriter != RewriterVersion && r.Rewriter != plainRewriter:
		return nil, nil
	}
	return &r, nil
}

// Serves reports whether the record is of the layer that a blob holds.
func (r *Layer) Serves(blob string) bool {
	return r != nil && (r.Blob == "" || r.Blob == blob)
}

// Depends reports whether what the layer becomes may depend on those below it.
func (r *Layer) Depends() bool { return r.Lacks != nil || r.Rewriter == plainRewriter }

// LookUp returns the object that a layer became where it lies, the zero Object
// if it is not there. Below is asked only if that matters; layers that are not
// there may be missing in its answer.
func (s Layers) LookUp(r *Layer, below func() ([]deployment.Object, error)) (deployment.Object, error) {
	o := r.Object
	if r.Depends() {
		var err error
		if o, err = s.above(r, below); err != nil {
			return deployment.Object{}, err
		}
	}
	if ok, err := s.Has(o); !ok || err != nil {
		return deployment.Object{}, err
	}
	return o, nil
}

func (s Layers) above(r *Layer, below func() ([]deployment.Object, error)) (deployment.Object, error) {
	want := r.Lacks
	if r.Rewriter == plainRewriter {
		ok, err := s.Has(r.Object)
		if err != nil || !ok {
			return deployment.Object{}, err
		}
		if want, err = squash.MayLack(s.Path(r.Object)); err != nil || want == nil {
			return r.Object, err
		}
	}
	objects, err := below()
	if err != nil || slices.Contains(objects, deployment.Object{}) {
		return deployment.Object{}, err
	}
	t, err := squash.Take(want, s.Paths(objects))
	if err != nil {
		return deployment.Object{}, err
	}
	defer t.Close()
	switch hash := t.Hash(); {
	case r.Rewriter == plainRewriter && t.Plain(), r.Rewriter != plainRewriter && hash == "":
		return r.Object, nil
	default:
		for _, a := range r.Above {
			if a.Taken == hash {
				return a.Object, nil
			}
		}
	}
	return deployment.Object{}, nil
}

// Made tells how the layer became an object, which must be of today's rewriter.
func (r *Layer) Made(o deployment.Object) (squash.Made, bool) {
	m := squash.Made{Object: o, Lacks: r.Lacks}
	for _, a := range r.Above {
		if a.Object == o {
			m.Taken = a.Taken
		}
	}
	return m, r.Rewriter == RewriterVersion && (m.Taken != "" || r.Object == o)
}

// Paths are where objects lie.
func (s Layers) Paths(objects []deployment.Object) (paths []string) {
	for _, o := range objects {
		paths = append(paths, s.Path(o))
	}
	return paths
}

// Put notes what a layer became. What it became elsewhere stays known, if the
// same was read there. It is not called for one layer at a time by two.
func (s Layers) Put(t *squash.Taking, diffID, blob string, o deployment.Object) error {
	if !t.Lacks.Storable() {
		return nil // it is made again when it is wanted again
	}
	path, err := s.path(diffID)
	if err != nil {
		return err
	}
	r := Layer{DiffID: diffID, Blob: blob, Object: o, Rewriter: RewriterVersion, Squasher: squash.Squasher, Lacks: t.Lacks}
	hash := t.Hash()
	if hash != "" {
		r.Object, r.Above = deployment.Object{}, []Above{{hash, o}}
	}
	old, err := s.Read(diffID)
	if err != nil {
		return err
	}
	if old != nil && old.Rewriter == RewriterVersion && old.Blob == r.Blob {
		if hash != "" {
			r.Object = old.Object
		}
		for _, a := range old.Above {
			if a.Taken != hash {
				r.Above = append(r.Above, a)
			}
		}
		slices.SortFunc(r.Above, func(a, b Above) int { return strings.Compare(a.Taken, b.Taken) })
	}
	return Write(path, r)
}

// Keep forgets what is not live, and reports whether anything is left of the
// record and whether it changed.
func (r *Layer) Keep(live func(deployment.Object) bool) (left, changed bool) {
	above := slices.DeleteFunc(slices.Clone(r.Above), func(a Above) bool { return !live(a.Object) })
	changed = len(above) < len(r.Above)
	r.Above = above
	if r.Object.SHA256 != "" && !live(r.Object) {
		r.Object, changed = deployment.Object{}, true
	}
	return r.Object.SHA256 != "" || len(r.Above) > 0, changed
}
