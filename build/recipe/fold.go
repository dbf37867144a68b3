package recipe

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// maxFiles is how many files of the repo a key names one by one. Beyond it,
// the fullest folders are one part each, so that a key stays small and still
// says where something changed.
const maxFiles = 64

// A folder is one of the repo while a key's parts are made.
type folder struct {
	path    string
	entries map[string]*folder // nil for a file
	folded  bool
}

func (f *folder) add(name string) {
	at := f
	for part := range strings.SplitSeq(name, "/") {
		if at.entries == nil {
			at.entries = map[string]*folder{}
		}
		if at.entries[part] == nil {
			at.entries[part] = &folder{path: path.Join(at.path, part)}
		}
		at = at.entries[part]
	}
}

// parts counts those that the folder and all below it give.
func (f *folder) parts() int {
	if f.folded || f.entries == nil {
		return 1
	}
	n := 0
	for _, e := range f.entries {
		n += e.parts()
	}
	return n
}

// folders lists all folders below, without this one.
func (f *folder) folders() (out []*folder) {
	for _, e := range f.entries {
		if e.entries != nil {
			out = append(append(out, e), e.folders()...)
		}
	}
	return out
}

// foldParts makes parts of files' hashes by their names: one each, or one for
// a whole folder, the fullest ones first. What is folded depends on the names
// alone.
func foldParts(files map[string]string) []Part {
	root := &folder{}
	for name := range files {
		root.add(name)
	}
	all := root.folders()
	slices.SortFunc(all, func(a, b *folder) int {
		return cmp.Or(len(b.entries)-len(a.entries), strings.Count(b.path, "/")-strings.Count(a.path, "/"), strings.Compare(a.path, b.path))
	})
	left := len(files)
	for _, f := range append(all, root) {
		if left <= maxFiles {
			break
		}
		if n := f.parts(); n > 1 && !root.hides(f.path) {
			f.folded = true
			left -= n - 1
		}
	}
	return root.keyParts(files)
}

// hides tells whether a folder above path is folded.
func (f *folder) hides(path string) bool {
	for name := range strings.SplitSeq(path, "/") {
		if f.folded || f.entries[name] == nil {
			return f.folded
		}
		f = f.entries[name]
	}
	return false
}

func (f *folder) keyParts(files map[string]string) (out []Part) {
	if f.entries == nil {
		return []Part{hashPart(f.path, []byte(files[f.path]))}
	}
	for _, name := range slices.Sorted(maps.Keys(f.entries)) {
		out = append(out, f.entries[name].keyParts(files)...)
	}
	if f.folded {
		all := fmt.Sprintf("%q", out)
		out = []Part{hashPart(path.Join(f.path, "…"), []byte(all))}
	}
	return out
}
