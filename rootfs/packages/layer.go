package packages

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// databases are the files and folders that Read asks for.
func databases() []string {
	all := []string{"var/lib/dpkg/status", "var/lib/dpkg/status.d", xbpsDir}
	for _, file := range rpmFiles() {
		all = append(all, file, file+walSuffix)
	}
	return slices.Concat(all, apkFiles(), pacmanDirs())
}

// AddLayer puts a layer of an image upon a root, nil for none: the tar as OCI has it, with
// whiteouts (image-spec, layer.md). What is no part of a database is passed
// over, so that a layer may be larger than memory. The layer's links are not
// followed; a root whose databases lie behind them lacks these.
func AddLayer(below Root, layer io.Reader) (Root, error) {
	r := &layered{below: below, databases: databases(), files: map[string][]byte{}, hidden: map[string]bool{}, opaque: map[string]bool{}}
	in, left := tar.NewReader(layer), int64(maxRPM)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err == nil {
			err = r.add(in, h, &left)
		}
		if err != nil {
			return nil, fmt.Errorf("read layer: %w", err)
		}
	}
}

// A layered root is the part of one layer that matters, upon another root.
type layered struct {
	below     Root
	databases []string
	files     map[string][]byte
	// hidden are paths below which nothing of the root below shows; opaque
	// folders hide what the root below has in them.
	hidden, opaque map[string]bool
}

func (r *layered) add(in io.Reader, h *tar.Header, left *int64) error {
	name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	if base == ".wh..wh..opq" {
		r.opaque[dir] = true
		return nil
	}
	gone, whiteout := strings.CutPrefix(base, ".wh.")
	if whiteout {
		name = path.Join(dir, gone)
	}
	switch part, above := r.matters(name); {
	case above && h.Typeflag != tar.TypeDir, part && whiteout:
		r.hidden[name] = true
	case !part || h.Typeflag == tar.TypeDir:
	case h.Typeflag == tar.TypeReg:
		data, err := io.ReadAll(io.LimitReader(in, *left+1))
		if *left -= int64(len(data)); err == nil && *left < 0 {
			err = fmt.Errorf("/%s is larger than a database can be", name)
		}
		r.files[name] = data
		return err
	default:
		r.hidden[name] = true // a link, which is not followed
	}
	return nil
}

// matters reports whether a path is part of a database, and whether it is a
// folder above one.
func (r *layered) matters(name string) (part, above bool) {
	for _, db := range r.databases {
		part = part || name == db || strings.HasPrefix(name, db+"/")
		above = above || strings.HasPrefix(db, name+"/")
	}
	// pacman and xbps keep lists of files beside, which are large.
	if base := path.Base(name); base == "files" || base == "mtree" || strings.HasSuffix(base, xbpsFiles) {
		part = false
	}
	return part, above
}

// shows reports whether the root below is seen at a path.
func (r *layered) shows(name string) bool {
	if r.below == nil || r.hidden[name] {
		return false
	}
	for dir := name; dir != "."; {
		if dir = path.Dir(dir); r.hidden[dir] || r.opaque[dir] {
			return false
		}
	}
	return true
}

func (r *layered) ReadFile(name string, limit int64) ([]byte, error) {
	data, ok := r.files[name]
	switch {
	case ok && int64(len(data)) > limit:
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	case ok:
		return data, nil
	case r.shows(name):
		return r.below.ReadFile(name, limit)
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (r *layered) ReadDir(dir string) ([]string, error) {
	var names []string
	if r.shows(dir) && !r.opaque[dir] {
		below, err := r.below.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		names = slices.DeleteFunc(slices.Clone(below), func(name string) bool { return r.hidden[path.Join(dir, name)] })
	}
	for file := range r.files {
		if rest, ok := strings.CutPrefix(file, dir+"/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
