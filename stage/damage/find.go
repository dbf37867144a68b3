// Package damage finds what is not as it should be on a stage, has it treated as
// missing, and takes it away.
package damage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/gentle"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/internal/manifests"
)

// A Found is something on the stage that is not as it should be.
type Found struct {
	// Path is below the stage.
	Path string `json:"path"`
	// What is wrong.
	What string `json:"what"`
	// Deployments are the ids of those that cannot be trusted to boot.
	Deployments []string `json:"deployments"`
	// Remedy says what to do.
	Remedy string `json:"remedy"`
}

// Find reads everything on the stage, at a pace, and compares it with its names. What is
// wrong is returned sorted by path; an error means that it could not look.
func Find(ctx context.Context, st *stage.Stage, pace gentle.Pace, sink progress.Sink) ([]Found, error) {
	s := search{stage: st, pace: pace, sink: sink, users: make(map[deployment.Object][]string)}
	err := s.manifests()
	if err == nil {
		err = s.objects(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("verify stage %s: %w", st.Dir(), err)
	}
	slices.SortFunc(s.found, func(a, b Found) int { return strings.Compare(a.Path, b.Path) })
	return s.found, nil
}

type search struct {
	stage *stage.Stage
	pace  gentle.Pace
	sink  progress.Sink
	users map[deployment.Object][]string // deployments by object

	mu    sync.Mutex
	found []Found
}

func (s *search) add(d Found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.Deployments == nil {
		d.Deployments = []string{}
	}
	s.found = append(s.found, d)
}

func (s *search) manifests() error {
	ids, err := s.stage.Deployments()
	if err != nil {
		return err
	}
	onDisk := manifests.In(filepath.Join(s.stage.Dir(), "deployments"), "")
	for _, id := range ids {
		m, err := onDisk.Read(id)
		if err != nil {
			s.add(Found{
				Path: "deployments/" + id + ".json", What: err.Error(), Deployments: []string{id},
				Remedy: "remove it with `gitboot stage remove " + id + "`; the next reconcile publishes what is wanted",
			})
			continue
		}
		for _, o := range m.Objects() {
			s.users[o] = append(s.users[o], id)
		}
	}
	s.missing()
	return nil
}

// missing finds the objects that manifests name and that are not there, or
// not in their full length.
func (s *search) missing() {
	for o, ids := range s.users {
		info, err := os.Stat(s.stage.ObjectPath(o))
		d := Found{Path: o.Path(), Deployments: ids, Remedy: "reconcile: it is made again"}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			d.What = "missing"
		case err != nil:
			d.What = "cannot be looked at: " + err.Error()
		case info.Size() != o.Size:
			d.What = fmt.Sprintf("%d bytes long instead of %d", info.Size(), o.Size)
		default:
			continue
		}
		s.add(d)
	}
}

// objects hashes every file among the objects, as many at once as there are
// processors.
func (s *search) objects(ctx context.Context) error {
	entries, err := os.ReadDir(s.stage.Objects())
	if err != nil {
		return err
	}
	hurt := make(map[string][]string)
	for o, ids := range s.users {
		hurt[o.SHA256] = append(hurt[o.SHA256], ids...)
	}
	g, ctx := errgroup.WithContext(ctx)
	if g.SetLimit(runtime.GOMAXPROCS(0)); s.pace > 0 {
		g.SetLimit(1)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), durable.TempPrefix) {
			continue
		}
		g.Go(func() error {
			s.pace.Begin()
			return s.object(ctx, e.Name(), hurt[e.Name()])
		})
	}
	return g.Wait()
}

func (s *search) object(ctx context.Context, name string, hurt []string) error {
	d := Found{Path: "objects/sha256/" + name, Deployments: slices.Compact(slices.Sorted(slices.Values(hurt)))}
	path := filepath.Join(s.stage.Objects(), name)
	if !deployment.IsHash(name) {
		d.What, d.Remedy = "this is not the name of an object", "remove "+path+" if it is not needed"
		s.add(d)
		return nil
	}
	d.Remedy = "`gitboot stage verify --quarantine`, then reconcile: it is made again"
	got, err := s.hash(ctx, path, "verify "+name[:12])
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist): // collected meanwhile
		return nil
	case err != nil:
		d.What = "cannot be read: " + err.Error()
		d.Remedy = "check the disk, then " + d.Remedy
	case got.SHA256 != name:
		d.What = "the content has the sha256 " + got.SHA256
	default:
		return nil
	}
	s.add(d)
	return nil
}

// hash reads an object, from the disk itself where that is to be looked at.
func (s *search) hash(ctx context.Context, path, what string) (got deployment.Object, err error) {
	f, err := os.Open(path)
	if err != nil {
		return got, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return got, err
	}
	task := progress.Start(s.sink, what, info.Size())
	defer func() { task.End(err) }()
	return stage.CopyHashed(ctx, task, s.pace.Reader(ctx, f))
}
