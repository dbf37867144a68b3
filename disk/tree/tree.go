// Package tree says what lies in a file system that is made: folders and files, all
// root's and of one time, whatever kind it is.
package tree

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// A Filesystem is what is made. Paths in it are absolute.
type Filesystem struct {
	UUID, Label string
	// Seed is a UUID of which is made what would be random otherwise.
	Seed string
	// Time is that of all files.
	Time    time.Time
	Folders []Folder
	Files   []File
}

// A Folder is one in the file system.
type Folder struct {
	Path string
	Mode fs.FileMode
}

// A File is one in the file system, and what it is made of: Size bytes of a file of
// this computer, or Text if Source is "".
type File struct {
	Path, Source string
	Size         int64
	Text         []byte
	Mode         fs.FileMode
}

// Bytes is how many a file has.
func (f File) Bytes() int64 {
	if f.Source == "" {
		return int64(len(f.Text))
	}
	return f.Size
}

// BlockSize is that of the file systems which have blocks.
const BlockSize = 4096

// Blocks is how many a file takes.
func (f File) Blocks() int64 { return (f.Bytes() + BlockSize - 1) / BlockSize }

// Room is how many bytes the files take there, without what the file system takes
// itself.
func (s Filesystem) Room() (n int64) {
	for _, f := range s.Files {
		n += f.Blocks() * BlockSize
	}
	return n + int64(len(s.Files)+len(s.Folders))*BlockSize
}

// AllFolders are all that there are to be but the top, parents first; those that were
// not named are for root alone.
func (s Filesystem) AllFolders() []Folder {
	modes := map[string]fs.FileMode{}
	add := func(dir string) {
		for ; dir != "/" && dir != "."; dir = path.Dir(dir) {
			if _, ok := modes[dir]; !ok {
				modes[dir] = 0o700
			}
		}
	}
	for _, f := range s.Files {
		add(path.Dir(f.Path))
	}
	for _, f := range s.Folders {
		add(f.Path)
	}
	for _, f := range s.Folders {
		modes[f.Path] = f.Mode
	}
	all := make([]Folder, 0, len(modes))
	for p, mode := range modes {
		all = append(all, Folder{p, mode})
	}
	slices.SortFunc(all, func(a, b Folder) int { return strings.Compare(a.Path, b.Path) })
	return all
}
