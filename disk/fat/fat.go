// Package fat makes an EFI system partition's file system, FAT32, in a part of a disk,
// without mounting it: by mkfs.vfat and mtools.
package fat

import (
	"context"
	"errors"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
)

// Programs are those that this takes.
func Programs() []string { return []string{"mkfs.vfat", "mmd", "mcopy"} }

// A Filesystem is what is made. Files are by their paths in it, and where they are
// copied from.
type Filesystem struct {
	ID, Label string // 8 hex digits; 11 characters
	Time      time.Time
	Files     map[string]string
}

// cluster is how many sectors one has: so many that there are more of them than
// FAT16 can have, by which FAT32 is known (Microsoft's FAT specification, page 14).
func cluster(length int64) string {
	if length < 300<<20 {
		return "1"
	}
	return "8"
}

// Lay makes it in length bytes of a disk from an offset, and adds its pieces to those
// of the disk.
func (s Filesystem) Lay(ctx context.Context, disk *piece.List, offset, length int64) error {
	empty, err := s.Make(ctx, length)
	if err != nil {
		return err
	}
	return disk.Written(offset, empty)
}

// Make makes it of so many bytes, in a file that is gone when it is closed.
func (s Filesystem) Make(ctx context.Context, length int64) (*os.File, error) {
	empty, err := scratch.New(length)
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, scratch.Path(empty), cluster(length)); err != nil {
		return nil, errors.Join(err, empty.Close())
	}
	return empty, nil
}

func (s Filesystem) fill(ctx context.Context, file, cluster string) error {
	run := func(name string, args ...string) error {
		_, _, err := tool.Run(ctx, s.Time, "", name, args...)
		return err
	}
	err := run("mkfs.vfat", "--invariant", "-F", "32", "-s", cluster, "-i", s.ID, "-n", strings.ToUpper(s.Label), file)
	if err != nil {
		return err
	}
	if folders := s.folders(); len(folders) > 0 {
		if err := run("mmd", append([]string{"-i", file}, folders...)...); err != nil {
			return err
		}
	}
	for _, args := range s.copies() {
		if err := run("mcopy", append([]string{"-i", file}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// copies are what mcopy copies where: at once what keeps its name in a folder.
func (s Filesystem) copies() (all [][]string) {
	together := map[string][]string{}
	for _, to := range s.paths() {
		if from := s.Files[to]; path.Base(from) == path.Base(to) {
			dir := path.Dir(to)
			together[dir] = append(together[dir], from)
		} else {
			all = append(all, []string{from, "::" + to})
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(together)) {
		all = append(all, append(together[dir], "::"+dir))
	}
	return all
}

func (s Filesystem) paths() []string {
	paths := make([]string, 0, len(s.Files))
	for p := range s.Files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// folders are those of the files as mtools names them, parents first.
func (s Filesystem) folders() (all []string) {
	for p := range s.Files {
		for dir := path.Dir(p); dir != "/" && dir != "."; dir = path.Dir(dir) {
			all = append(all, "::"+dir)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
