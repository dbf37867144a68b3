package find

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/problem"
)

// A Walk finds files by globs. It goes through the tree once, whatever the
// globs are, and remembers of each how far it has matched.
//
// A link to a file is a file. A link to a folder is followed where a segment
// names it, and not by **: so nothing is found twice, and a folder that links
// to its parent does no harm.
type Walk struct {
	*problem.List
	FS     fs.FS
	Meter  bounds.Meter
	Found  map[string]bool
	Places position.Place // of the globs
	ended  bool
}

// partly is a glob whose first segments, at of them, have matched.
type partly struct {
	glob glob
	at   int
	nth  int // of include
}

func (p partly) segment() string { return p.glob[p.at] }
func (p partly) last() bool      { return p.at == len(p.glob)-1 }
func (p partly) next() partly    { p.at++; return p }

// folder looks for what is in a folder up to which the globs have matched.
func (w *Walk) folder(dir string, globs []partly) {
	globs = withoutFolders(globs)
	if w.ended || len(globs) == 0 {
		return
	}
	if len(dir) > bounds.MaxPath {
		w.end(globs[0], "finds folders that are nested too deep")
		return
	}
	if !slices.ContainsFunc(globs, func(p partly) bool { return isMeta(p.segment()) }) {
		w.named(dir, globs)
		return
	}
	entries, err := fs.ReadDir(w.FS, dir)
	if err != nil {
		w.Add(w.Places.Item(globs[0].nth), dir, "cannot be searched: "+bounds.Reason(err), "make the folders readable")
		return
	}
	for _, e := range entries {
		if w.entry(dir, e.Name(), e.Type(), globs); w.ended {
			return
		}
	}
}

// named looks at what the globs name, and reads no folder for it.
func (w *Walk) named(dir string, globs []partly) {
	done := map[string]bool{}
	for _, p := range globs {
		name := p.segment()
		if done[name] || w.ended {
			continue
		}
		done[name] = true
		info, err := fs.Stat(w.FS, path.Join(dir, name))
		if err == nil {
			w.entry(dir, name, info.Mode().Type(), globs)
		} else if !errors.Is(err, fs.ErrNotExist) {
			w.entry(dir, name, 0, globs) // who reads it tells why that cannot be
		}
	}
}

// entry matches one entry of a folder.
func (w *Walk) entry(dir, name string, kind fs.FileMode, globs []partly) {
	if !w.Meter.Spend(8 + len(globs)) {
		w.end(globs[0], "makes gitboot look at too much of the repo")
		return
	}
	found := false
	var within []partly
	for _, p := range globs {
		switch {
		case p.segment() == everywhere:
			found = found || p.last()
			if kind&fs.ModeSymlink == 0 {
				within = append(within, p)
			}
		case !matches(p.segment(), name):
		case p.last():
			found = true
		default:
			within = append(within, p.next())
		}
	}
	if !found && len(within) == 0 {
		return
	}
	name = path.Join(dir, name)
	if kind&fs.ModeSymlink != 0 {
		if info, err := fs.Stat(w.FS, name); err == nil {
			kind = info.Mode().Type()
		}
	}
	switch {
	case kind.IsDir():
		w.folder(name, within)
	case found:
		w.Found[name] = true
	}
}

func (w *Walk) end(p partly, what string) {
	if w.ended = true; w.Meter.Ctx.Err() == nil {
		w.Add(w.Places.Item(p.nth), "", what, "name the folders that hold config files")
	}
}

// Globs finds what globs name, which all are well formed, each by its number
// among those that are declared.
func (w *Walk) Globs(globs map[int]string) {
	var begin []partly
	for _, i := range slices.Sorted(maps.Keys(globs)) {
		all, _ := parseGlob(globs[i])
		for _, g := range all {
			begin = append(begin, partly{glob: g, nth: i})
		}
	}
	w.folder(".", begin)
	for _, i := range slices.Sorted(maps.Keys(globs)) {
		text := globs[i]
		if g, _ := parseGlob(text); len(g) == 1 && !slices.ContainsFunc(g[0], isMeta) && !w.Found[path.Join(g[0]...)] {
			w.Add(w.Places.Item(i), text, "is not a file of the repo", "correct the path, or remove it")
		}
	}
}

func matches(segment, name string) bool {
	ok, err := path.Match(segment, name)
	return ok && err == nil
}

// withoutFolders adds what globs are where ** stands for no folder, and leaves
// out what is there twice.
func withoutFolders(globs []partly) []partly {
	seen := map[*string]bool{} // a segment of one glob
	var all []partly
	for _, p := range globs {
		for {
			if at := &p.glob[p.at]; !seen[at] {
				seen[at] = true
				all = append(all, p)
			}
			if p.segment() != everywhere || p.last() {
				break
			}
			p = p.next()
		}
	}
	return all
}
