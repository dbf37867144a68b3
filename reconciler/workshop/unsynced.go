package workshop

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/internal/durable"
)

// unsyncedName is a file in the engines' folder that is there while they write, until
// all of that is on the disk. No engine sees to it: what the power has left of a step's
// layer may be empty files, and would be taken from the cache for good.
const unsyncedName = "unsynced"

// A storing is what engines store in a job.
type storing struct{ *Job }

// begin notes that engines are going to write. What they had written, and nobody has
// noted, when the power went or the disk failed, is given up.
func (j storing) begin(ctx context.Context) error {
	if err := durable.MkdirAll(j.EngineDir, 0o700); err != nil {
		return err
	}
	now, err := durable.Session(j.EngineDir)
	if err != nil {
		return err
	}
	path := filepath.Join(j.EngineDir, unsyncedName)
	switch then, err := os.ReadFile(path); {
	case err == nil && string(then) == now: // a killed run's, whose writes the kernel has
		return nil
	case err == nil:
		if err := j.distrust(ctx); err != nil {
			return fmt.Errorf("give up what engines had begun when the power went: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return durable.WriteFile(path, []byte(now), 0o600)
}

// end notes that all that engines wrote is on the disk.
func (j storing) end() error {
	if err := j.sync(); err != nil {
		return err
	}
	return durable.Remove(filepath.Join(j.EngineDir, unsyncedName))
}

// sync brings what engines wrote on the disk.
func (j storing) sync() error {
	if err := durable.SyncAll(j.EngineDir); err != nil {
		return fmt.Errorf("bring what was built on the disk: %w", err)
	}
	return nil
}

// distrust has all engines remove what is not noted.
func (j storing) distrust(ctx context.Context) error {
	for _, name := range j.Engines {
		e, err := j.Engine(name)
		if err != nil || e.Check(ctx) != nil {
			continue // nor does it build anything
		}
		if err := e.Clean(ctx); err != nil {
			return err
		}
		freed, err := e.Collect(ctx, j.doc.Stored(), 1)
		if err != nil {
			return err
		}
		if freed > 0 {
			j.Log.Warn("what was built when the power went or the disk failed is given up", "engine", name, "bytes", freed)
		}
	}
	return nil
}
