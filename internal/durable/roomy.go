package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A roomy folder has been made for so many names, each as long as a hash.
const (
	roomyNames  = 512
	roomyLength = 64
)

// Roomy makes a folder as large as it needs to be for hundreds of hashes, so that it
// does not grow when they come. When it does, ext4 moves half of a block's names to a
// new one, and a boot loader, which replays no journal, may see the old block without
// them and the new one not at all: what was in the folder before is gone for it until
// the file system is mounted. ext4 does not make a folder smaller again. Others do,
// and are left as they are, as is a folder that is large already. What a cut leaves
// has temporary names.
func Roomy(dir string) (err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("file system of %s: %w", dir, err)
	}
	info, err := os.Stat(dir)
	if err != nil || st.Type != magicExt4 || info.Size() >= roomyNames*roomyLength {
		return err
	}
	f, err := Create(dir, 0o600)
	if err != nil {
		return err
	}
	defer f.Discard()
	names := make([]string, roomyNames)
	for i := range names {
		name := fmt.Sprintf("%sroom-%d-", TempPrefix, i)
		names[i] = filepath.Join(dir, name+strings.Repeat("0", roomyLength-len(name)))
	}
	defer func() {
		for _, name := range names {
			if gone := os.Remove(name); !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
		err = errors.Join(err, SyncDir(dir))
	}()
	for _, name := range names {
		if err := os.Link(f.Name(), name); err != nil {
			return err
		}
	}
	return SyncDir(dir)
}
