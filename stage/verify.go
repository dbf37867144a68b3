package stage

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
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage/internal/manifests"
)

// A Damage is something on the stage that is not as it should be.
type Damage struct {
	// Path is below the stage.
	Path string `json:"path"`
	// What is wrong.
	What string `json:"what"`
	// Deployments are the ids of those that cannot be trusted to boot.
	Deployments []string `json:"deployments"`
	// Remedy says what to do.
	Remedy string `json:"remedy"`
}

// Verify reads everything on the stage and compares it with its names. What
// is wrong is returned sorted by path; an error means that Verify could not
// look.
func (s *Stage) Verify(ctx context.Context, sink progress.Sink) ([]Damage, error) {
	v := verification{stage: s, users: make(map[deployment.Object][]string)}
	if err := v.manifests(); err != nil {
		return nil, fmt.Errorf("verify stage %s: %w", s.Dir(), err)
	}
	if err := v.objects(ctx, sink); err != nil {
		return nil, fmt.Errorf("verify stage %s: %w", s.Dir(), err)
	}
	slices.SortFunc(v.found, func(a, b Damage) int { return strings.Compare(a.Path, b.Path) })
	return v.found, nil
}

type verification struct {
	stage *Stage
	users map[deployment.Object][]string // deployments by object

	mu    sync.Mutex
	found []Damage
}

func (v *verification) damage(d Damage) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if d.Deployments == nil {
		d.Deployments = []string{}
	}
	v.found = append(v.found, d)
}

func (v *verification) manifests() error {
	ids, err := v.stage.Deployments()
	if err != nil {
		return err
	}
	onDisk := manifests.In(v.stage.deployments(), "")
	for _, id := range ids {
		m, err := onDisk.Read(id)
		if err != nil {
			v.damage(Damage{
				Path: "deployments/" + id + ".json", What: err.Error(), Deployments: []string{id},
				Remedy: "remove it with `gitboot stage remove " + id + "`; the next reconcile publishes what is wanted",
			})
			continue
		}
		for _, o := range m.Objects() {
			v.users[o] = append(v.users[o], id)
		}
	}
	v.missing()
	return nil
}

// missing finds the objects that manifests name and that are not there, or
// not in their full length.
func (v *verification) missing() {
	for o, ids := range v.users {
		info, err := os.Stat(v.stage.ObjectPath(o))
		d := Damage{Path: o.Path(), Deployments: ids, Remedy: "reconcile: it is made again"}
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
		v.damage(d)
	}
}

// objects hashes every file among the objects, as many at once as there are
// processors.
func (v *verification) objects(ctx context.Context, sink progress.Sink) error {
	entries, err := os.ReadDir(v.stage.objects())
	if err != nil {
		return err
	}
	hurt := make(map[string][]string)
	for o, ids := range v.users {
		hurt[o.SHA256] = append(hurt[o.SHA256], ids...)
	}
	g, ctx := errgroup.WithContext(ctx)
	if g.SetLimit(runtime.GOMAXPROCS(0)); v.stage.Pace > 0 {
		g.SetLimit(1)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), durable.TempPrefix) {
			continue
		}
		g.Go(func() error {
			v.stage.Pace.Begin()
			return v.object(ctx, e.Name(), hurt[e.Name()], sink)
		})
	}
	return g.Wait()
}

func (v *verification) object(ctx context.Context, name string, hurt []string, sink progress.Sink) error {
	d := Damage{Path: "objects/sha256/" + name, Deployments: slices.Compact(slices.Sorted(slices.Values(hurt)))}
	path := filepath.Join(v.stage.objects(), name)
	if !deployment.IsHash(name) {
		d.What, d.Remedy = "this is not the name of an object", "remove "+path+" if it is not needed"
		v.damage(d)
		return nil
	}
	d.Remedy = "`gitboot stage verify --quarantine`, then reconcile: it is made again"
	got, err := v.hash(ctx, path, "verify "+name[:12], sink)
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
	v.damage(d)
	return nil
}

// hash reads an object, from the disk itself where that is to be looked at.
func (v *verification) hash(ctx context.Context, path, what string, sink progress.Sink) (got deployment.Object, err error) {
	f, err := os.Open(path)
	if err != nil {
		return got, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return got, err
	}
	task := progress.Start(sink, what, info.Size())
	defer func() { task.End(err) }()
	return copyHashed(ctx, task, v.stage.Pace.Reader(ctx, f))
}
