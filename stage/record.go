package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// rewriterVersion changes when a layer becomes another object than before, so
// that layers on the stage are made again.
const rewriterVersion = 2

// plainRewriter knew no lacks: a folder without an entry became root's, 0755
// and of the year 1970. Its objects are right where no such folder is one that
// lower layers show otherwise.
const plainRewriter = 1

// A layerRecord is the form of layers/<hex>.json.
type layerRecord struct {
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
	Lacks *lacks `json:"lacks,omitempty"`
	// Above are the objects that it became above layers that have some.
	Above []above `json:"above,omitempty"`
}

// An above is what a layer became with what was taken.
type above struct {
	Taken  string            `json:"taken"` // its hash
	Object deployment.Object `json:"object"`
}

func (s *Stage) layerPath(diffID string) (string, error) {
	hex, ok := strings.CutPrefix(diffID, "sha256:")
	if !ok || !deployment.IsHash(hex) {
		return "", fmt.Errorf("layer %q: a diff id is sha256: and 64 hex digits", diffID)
	}
	return s.path("layers", hex+".json"), nil
}

// readLayer returns the record of a layer, nil if there is none that is of use.
func (s *Stage) readLayer(diffID string) (*layerRecord, error) {
	path, err := s.layerPath(diffID)
	if err != nil {
		return nil, err
	}
	r, err := readRecord[layerRecord](path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		// Records are a memory of what was done: it can be done again.
		s.log().Warn("ignoring an unreadable layer record", "path", path, "error", err)
		return nil, nil
	case r.DiffID != diffID || r.Rewriter != rewriterVersion && r.Rewriter != plainRewriter:
		return nil, nil
	}
	return &r, nil
}

// serves reports whether the record is of the layer that a blob holds.
func (r *layerRecord) serves(blob string) bool {
	return r != nil && (r.Blob == "" || r.Blob == blob)
}

// depends reports whether what the layer becomes may depend on those below it.
func (r *layerRecord) depends() bool { return r.Lacks != nil || r.Rewriter == plainRewriter }

// lookUp returns the object that a layer became where it lies, the zero Object
// if it is not there. Below is asked only if that matters; layers that are not
// there may be missing in its answer.
func (s *Stage) lookUp(r *layerRecord, below func() ([]deployment.Object, error)) (deployment.Object, error) {
	o := r.Object
	if r.depends() {
		var err error
		if o, err = s.lookUpAbove(r, below); err != nil {
			return deployment.Object{}, err
		}
	}
	if ok, err := s.has(o); !ok || err != nil {
		return deployment.Object{}, err
	}
	return o, nil
}

func (s *Stage) lookUpAbove(r *layerRecord, below func() ([]deployment.Object, error)) (deployment.Object, error) {
	want := r.Lacks
	if r.Rewriter == plainRewriter {
		ok, err := s.has(r.Object)
		if err != nil || !ok {
			return deployment.Object{}, err
		}
		if want, err = s.mayLack(r.Object); err != nil || want == nil {
			return r.Object, err
		}
	}
	objects, err := below()
	if err != nil || slices.Contains(objects, deployment.Object{}) {
		return deployment.Object{}, err
	}
	t, err := s.take(want, objects)
	if err != nil {
		return deployment.Object{}, err
	}
	defer t.close()
	switch hash := t.hash(); {
	case r.Rewriter == plainRewriter && t.plain(), r.Rewriter != plainRewriter && hash == "":
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

// recordLayer notes what a layer became. What it became elsewhere stays known,
// if the same was read there.
func (s *Stage) recordLayer(t *taking, src *adding, o deployment.Object) error {
	if !t.lacks.storable() {
		return nil // it is made again when it is wanted again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := layerRecord{DiffID: src.DiffID, Blob: src.Blob, Object: o, Rewriter: rewriterVersion, Squasher: squasher, Lacks: t.lacks}
	hash := t.hash()
	if hash != "" {
		r.Object, r.Above = deployment.Object{}, []above{{hash, o}}
	}
	old, err := s.readLayer(src.DiffID)
	if err != nil {
		return err
	}
	if old != nil && old.Rewriter == rewriterVersion && old.Blob == r.Blob {
		if hash != "" {
			r.Object = old.Object
		}
		for _, a := range old.Above {
			if a.Taken != hash {
				r.Above = append(r.Above, a)
			}
		}
		slices.SortFunc(r.Above, func(a, b above) int { return strings.Compare(a.Taken, b.Taken) })
	}
	return writeRecord(src.record, r)
}

// keep forgets what is not live, and reports whether anything is left of the
// record and whether it changed.
func (r *layerRecord) keep(live func(deployment.Object) bool) (left, changed bool) {
	above := slices.DeleteFunc(slices.Clone(r.Above), func(a above) bool { return !live(a.Object) })
	changed = len(above) < len(r.Above)
	r.Above = above
	if r.Object.SHA256 != "" && !live(r.Object) {
		r.Object, changed = deployment.Object{}, true
	}
	return r.Object.SHA256 != "" || len(r.Above) > 0, changed
}
