package stage

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage/internal/record"
)

// A KernelRecord remembers what was made of an image's kernel.
type KernelRecord = record.Kernel

// Kernel returns the record of a key, if there is one and its objects are
// there.
func (s *Stage) Kernel(key string) (KernelRecord, bool, error) {
	path, err := record.KernelPath(s.kernels(), key)
	if err != nil {
		return KernelRecord{}, false, err
	}
	r, err := record.Read[KernelRecord](path)
	if errors.Is(err, fs.ErrNotExist) {
		return KernelRecord{}, false, nil
	}
	if err != nil {
		s.log().Warn("ignoring an unreadable kernel record", "path", path, "error", err)
		return KernelRecord{}, false, nil
	}
	for _, o := range []deployment.Object{r.Kernel, r.Initramfs} {
		if ok, err := s.has(o); err != nil || !ok {
			return KernelRecord{}, false, err
		}
	}
	return r, true, nil
}

// PutKernel keeps a record until its objects are collected.
func (s *Stage) PutKernel(key string, r KernelRecord) error {
	path, err := record.KernelPath(s.kernels(), key)
	if err != nil {
		return err
	}
	if old, err := record.Read[KernelRecord](path); err == nil && old == r {
		return nil
	}
	if err := record.Write(path, r); err != nil {
		return s.full(fmt.Errorf("kernel record %s: %w", key, err), 0)
	}
	return nil
}
