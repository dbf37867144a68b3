package squash

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"unicode/utf8"

	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/stage/internal/tarfs"
)

// Lacks are what a layer names and does not hold, as paths: see tarfs.Lack.
type Lacks struct {
	Folders []string `json:"folders,omitempty"`
	Files   []string `json:"files,omitempty"`
	// Root: the layer hides all that lies below it.
	Root bool `json:"root,omitempty"`
}

// lacksOf returns nil of none.
func lacksOf(list []tarfs.Lack) *Lacks {
	if len(list) == 0 {
		return nil
	}
	l := new(Lacks)
	for _, lack := range list {
		switch {
		case lack.Path == "":
			l.Root = true
		case lack.File:
			l.Files = append(l.Files, lack.Path)
		default:
			l.Folders = append(l.Folders, lack.Path)
		}
	}
	return l
}

// Storable reports whether JSON can hold the paths.
func (l *Lacks) Storable() bool {
	bad := func(p string) bool { return !utf8.ValidString(p) }
	return l == nil || !slices.ContainsFunc(l.Folders, bad) && !slices.ContainsFunc(l.Files, bad)
}

// MayLack lists the folders of a squashfs, made by a rewriter that gave folders
// without an entry one, that may have had none; nil if there are none.
func MayLack(file string) (*Lacks, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := rootfs.New(f)
	if err != nil {
		return nil, err
	}
	root, err := r.Root()
	if err != nil {
		return nil, err
	}
	var found []string
	if err := madeFolders(r, &root, "", &found); err != nil || found == nil {
		return nil, err
	}
	return &Lacks{Folders: found}, nil
}

func madeFolders(r *rootfs.Reader, dir *rootfs.Inode, name string, found *[]string) error {
	entries, err := r.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		i, err := r.Inode(e)
		if err != nil {
			return err
		}
		if !i.Mode().IsDir() {
			continue
		}
		p := path.Join(name, e.Name)
		uid, gid, err := r.Owner(&i)
		if err != nil {
			return err
		}
		if i.Mode() == fs.ModeDir|0o755 && uid == 0 && gid == 0 && i.ModTime == 0 {
			*found = append(*found, p)
		}
		if err := madeFolders(r, &i, p, found); err != nil {
			return err
		}
	}
	return nil
}
