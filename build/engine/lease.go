package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/flock"
)

// leaseFile lies in the folder that engines work in. Who reads images has it
// locked together with others, who removes some alone.
const leaseFile = "lock"

// Reading keeps all images that the engines have in dir until release is
// called, or this process ends: ask for the image after that, and read it
// before. It waits for images that are just being removed, which takes seconds,
// and never for a build.
func Reading(ctx context.Context, dir string) (release func() error, err error) {
	release, err = lease(ctx, dir, flock.Shared)
	if errors.Is(err, unix.EROFS) {
		return func() error { return nil }, nil // nobody has ever removed an image here, nor can
	}
	if err != nil {
		return nil, fmt.Errorf("keep what is in the engines' folder %s while it is read: %w", dir, err)
	}
	return release, nil
}

// Removing waits until nobody reads images that the engines have in dir. Who
// would read some waits until release is called.
func Removing(ctx context.Context, dir string) (release func() error, err error) {
	if release, err = lease(ctx, dir, flock.Exclusive); err != nil {
		return nil, fmt.Errorf("wait for those who read what is in the engines' folder %s: %w", dir, err)
	}
	return release, nil
}

func lease(ctx context.Context, dir string, lock func(context.Context, *os.File) error) (release func() error, err error) {
	f, err := openLease(dir)
	if err != nil {
		return nil, err
	}
	if err := lock(ctx, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { return flock.Release(f) }, nil
}

// openLease writes only where there is no lock yet.
func openLease(dir string) (*os.File, error) {
	path := filepath.Join(dir, leaseFile)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
}
