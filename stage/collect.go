package stage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
)

// Collected says what was, or would be, removed.
type Collected struct {
	Objects int
	Bytes   int64
}

// Collect removes the objects that no deployment names, and the records that
// name them. With dry it only counts. It removes nothing if a manifest cannot
// be read, for what that needs is not known.
func (s *Stage) Collect(ctx context.Context, dry bool) (Collected, error) {
	c, err := s.collect(ctx, dry)
	if err != nil {
		return c, fmt.Errorf("collect garbage of stage %s: %w", s.Dir(), err)
	}
	return c, nil
}

func (s *Stage) collect(ctx context.Context, dry bool) (Collected, error) {
	live, err := s.reachable()
	if err != nil {
		return Collected{}, err
	}
	if !dry {
		if err := s.dropRecords(live); err != nil {
			return Collected{}, err
		}
	}
	var c Collected
	entries, err := os.ReadDir(s.objects())
	if err != nil {
		return c, err
	}
	for _, e := range entries {
		if live[e.Name()] || !deployment.IsHash(e.Name()) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return c, context.Cause(ctx)
		}
		if err := s.collectObject(e, dry, &c); err != nil {
			return c, err
		}
	}
	if dry || c.Objects == 0 {
		return c, nil
	}
	return c, durable.SyncDir(s.objects())
}

func (s *Stage) collectObject(e fs.DirEntry, dry bool, c *Collected) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	if !dry {
		if err := os.Remove(filepath.Join(s.objects(), e.Name())); err != nil {
			return err
		}
		if err := fault.Point("stage.object.removed"); err != nil {
			return err
		}
	}
	c.Objects++
	c.Bytes += info.Size()
	return nil
}

// reachable returns the hashes of all objects that deployments name.
func (s *Stage) reachable() (map[string]bool, error) {
	ids, err := s.Deployments()
	if err != nil {
		return nil, err
	}
	live := make(map[string]bool)
	for _, id := range ids {
		m, err := s.Deployment(id)
		if err != nil {
			return nil, fmt.Errorf("%w; remove the deployment first", err)
		}
		for _, o := range m.Objects() {
			live[o.SHA256] = true
		}
	}
	return live, nil
}

// dropRecords removes the records of objects that are not live, before the
// objects, so that no record ever names what is gone.
func (s *Stage) dropRecords(live map[string]bool) error {
	isLive := func(o deployment.Object) bool { return live[o.SHA256] }
	err := dropRecords(s.layers(), func(r *layerRecord) (left, changed bool) { return r.keep(isLive) })
	if err != nil {
		return err
	}
	return dropRecords(s.kernels(), func(r *KernelRecord) (left, changed bool) {
		return isLive(r.Kernel) && isLive(r.Initramfs), false
	})
}

// dropRecords calls keep for each record, which may change it.
func dropRecords[T any](dir string, keep func(*T) (left, changed bool)) error {
	names, err := recordNames(dir, func(string) bool { return true })
	if err != nil {
		return err
	}
	dropped := false
	for _, name := range names {
		path := dir + "/" + name + ".json"
		if r, err := readRecord[T](path); err == nil {
			left, changed := keep(&r)
			if left && changed {
				if err := writeRecord(path, r); err != nil {
					return err
				}
			}
			if left {
				continue
			}
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		dropped = true
	}
	if !dropped {
		return nil
	}
	return durable.SyncDir(dir)
}
