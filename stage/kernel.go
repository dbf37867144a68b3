package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// A KernelRecord remembers what was made of an image's kernel.
type KernelRecord struct {
	// Version is the release string, the name of the module directory.
	Version   string            `json:"version"`
	Kernel    deployment.Object `json:"kernel"`
	Initramfs deployment.Object `json:"initramfs"`
}

// validKey keeps a key from being a path.
func validKey(key string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return key != "" && len(key) <= 200 && strings.Trim(key, allowed) == ""
}

func (s *Stage) kernelPath(key string) (string, error) {
	if !validKey(key) {
		return "", fmt.Errorf("kernel record %q: a key consists of letters, digits, - and _", key)
	}
	return s.path("kernels", key+".json"), nil
}

// Kernel returns the record of a key, if there is one and its objects are
// there.
func (s *Stage) Kernel(key string) (KernelRecord, bool, error) {
	path, err := s.kernelPath(key)
	if err != nil {
		return KernelRecord{}, false, err
	}
	r, err := readRecord[KernelRecord](path)
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
	path, err := s.kernelPath(key)
	if err != nil {
		return err
	}
	if old, err := readRecord[KernelRecord](path); err == nil && old == r {
		return nil
	}
	if err := writeRecord(path, r); err != nil {
		return s.full(fmt.Errorf("kernel record %s: %w", key, err), 1)
	}
	return nil
}
