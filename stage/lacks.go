package stage

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"unicode/utf8"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/stage/internal/tarfs"
)

// Lacks are what a layer names and does not hold, as paths: see tarfs.Lack.
type lacks struct {
	Folders []string `json:"folders,omitempty"`
	Files   []string `json:"files,omitempty"`
	// Root: the layer hides all that lies below it.
	Root bool `json:"root,omitempty"`
}

// lacksOf returns nil of none.
func lacksOf(list []tarfs.Lack) *lacks {
	if len(list) == 0 {
		return nil
	}
	l := new(lacks)
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

// storable reports whether JSON can hold the paths.
func (l *lacks) storable() bool {
	bad := func(p string) bool { return !utf8.ValidString(p) }
	return l == nil || !slices.ContainsFunc(l.Folders, bad) && !slices.ContainsFunc(l.Files, bad)
}

// mayLack lists the folders of an object of plainRewriter that may have had no
// entry; nil if there are none.
func (s *Stage) mayLack(o deployment.Object) (*lacks, error) {
	f, err := os.Open(s.ObjectPath(o))
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
	return &lacks{Folders: found}, nil
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
