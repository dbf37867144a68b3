package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/flock"
)

// Prune removes the archives in a CacheDir, whole or in part, that have
// none of the sums (64 hex digits), and says how many bytes that were. One that
// is being downloaded stays.
func Prune(dir string, sums []string) (freed int64, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if slices.Contains(sums, strings.TrimSuffix(e.Name(), ".part")) {
			continue
		}
		n, err := pruneDownload(filepath.Join(dir, e.Name()))
		if err != nil {
			return freed, fmt.Errorf("remove an old download: %w", err)
		}
		freed += n
	}
	if freed == 0 {
		return 0, nil
	}
	return freed, durable.SyncDir(dir)
}

func pruneDownload(path string) (int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	switch err := flock.Try(f); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return 0, nil
	case err != nil:
		return 0, err
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, err
	}
	return info.Size(), os.Remove(path)
}
