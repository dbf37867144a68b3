package speaker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A store is containerd's as one build's builder sees it: of what is there,
// only the base; of what is being written, only its own; and nothing can be
// listed, changed or removed.
type store struct {
	content.Store
	// scope begins the names of what is being written.
	scope string
	// readable are the blobs that may be read.
	readable map[digest.Digest]bool

	mu    sync.Mutex
	begun map[string]bool // names of what was begun, with the scope
}

// open opens the store for a build on a base, which may be "".
func open(dir, base string) (*store, error) {
	all, err := local.NewStore(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store of images: %w", err)
	}
	s := &store{Store: all, scope: rand.Text() + "/", readable: map[digest.Digest]bool{}, begun: map[string]bool{}}
	if base == "" {
		return s, nil
	}
	id, err := digest.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("read the base: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "blobs", id.Algorithm().String(), id.Encoded()))
	var m ocispec.Manifest
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return nil, fmt.Errorf("read the base: %w", err)
	}
	for _, d := range append(m.Layers, m.Config, ocispec.Descriptor{Digest: id}) {
		s.readable[d.Digest] = true
	}
	return s, nil
}

var errNotAllowed = fmt.Errorf("not allowed to a builder: %w", errdefs.ErrPermissionDenied)

// Writer begins a blob. One that is there is not transferred.
func (s *store) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	var o content.WriterOpts
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	ref := s.scope + o.Ref
	s.mu.Lock()
	s.begun[ref] = true
	s.mu.Unlock()
	return s.Store.Writer(ctx, content.WithRef(ref), content.WithDescriptor(o.Desc))
}

func (s *store) Info(ctx context.Context, d digest.Digest) (content.Info, error) {
	if !s.readable[d] {
		return content.Info{}, fmt.Errorf("blob %s: %w", d, errdefs.ErrNotFound)
	}
	return s.Store.Info(ctx, d)
}

func (s *store) ReaderAt(ctx context.Context, d ocispec.Descriptor) (content.ReaderAt, error) {
	if !s.readable[d.Digest] {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, errdefs.ErrNotFound)
	}
	return s.Store.ReaderAt(ctx, d)
}

func (s *store) Status(ctx context.Context, ref string) (content.Status, error) {
	return s.Store.Status(ctx, s.scope+ref)
}

func (s *store) Abort(ctx context.Context, ref string) error {
	return s.Store.Abort(ctx, s.scope+ref)
}

func (s *store) Update(context.Context, content.Info, ...string) (content.Info, error) {
	return content.Info{}, errNotAllowed
}

func (s *store) Walk(context.Context, content.WalkFunc, ...string) error { return errNotAllowed }

func (s *store) Delete(context.Context, digest.Digest) error { return errNotAllowed }

func (s *store) ListStatuses(context.Context, ...string) ([]content.Status, error) {
	return nil, errNotAllowed
}

// discard removes what was begun and not completed. The store's own list of
// that cannot be used: it fails when another build completes something.
func (s *store) discard(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := range s.begun {
		if gone := s.Store.Abort(ctx, ref); !errdefs.IsNotFound(gone) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
