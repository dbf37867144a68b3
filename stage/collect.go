package stage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/stage/internal/record"
)

// Collected says what was, or would be, removed.
type Collected struct {
	Objects int
	Bytes   int64
}

// Add counts one more object.
func (c *Collected) Add(size int64) {
	c.Objects++
	c.Bytes += size
}

// Freed is what Collect would remove if these deployments were gone.
func Freed(ctx context.Context, s *Stage, gone map[string]bool) (Collected, error) {
	c := collection{stage: s, dry: true, gone: gone}
	err := c.run(ctx)
	return c.Collected, err
}

// Collect removes the objects that no deployment names, and the records that
// name them. With dry it only counts. It removes nothing if a manifest cannot
// be read, for what that needs is not known.
func (s *Stage) Collect(ctx context.Context, dry bool) (Collected, error) {
	c := collection{stage: s, dry: dry}
	if err := c.run(ctx); err != nil {
		return c.Collected, fmt.Errorf("collect garbage of stage %s: %w", s.Dir(), err)
	}
	return c.Collected, nil
}

// A collection is one time that garbage is collected.
type collection struct {
	stage *Stage
	dry   bool
	// gone are deployments that count as removed.
	gone map[string]bool
	Collected
}

func (c *collection) run(ctx context.Context) error {
	live, err := reachable(c.stage, c.gone)
	if err != nil {
		return err
	}
	if !c.dry {
		if err := record.DropAll(c.stage.Dir(), func(o deployment.Object) bool { return live[o.SHA256] }); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(c.stage.Objects())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if live[e.Name()] || !deployment.IsHash(e.Name()) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := c.object(e); err != nil {
			return err
		}
	}
	if c.dry || c.Objects == 0 {
		return nil
	}
	return durable.SyncDir(c.stage.Objects())
}

func (c *collection) object(e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	if !c.dry {
		if err := os.Remove(filepath.Join(c.stage.Objects(), e.Name())); err != nil {
			return err
		}
		if err := fault.Point("stage.object.removed"); err != nil {
			return err
		}
	}
	c.Add(info.Size())
	return nil
}

// reachable returns the hashes of all objects that deployments name which are not
// gone.
func reachable(s *Stage, gone map[string]bool) (map[string]bool, error) {
	ids, err := s.Deployments()
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return gone[id] })
	live := make(map[string]bool)
	if err := s.manifests.Objects(ids, func(o deployment.Object) { live[o.SHA256] = true }); err != nil {
		return nil, fmt.Errorf("%w; remove the deployment first", err)
	}
	return live, nil
}
