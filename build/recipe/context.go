package recipe

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// A File is one file, link or folder that an engine may see.
type File struct {
	Name string // in the context
	Repo string // in the repo
	Mode fs.FileMode
	Link string // what a link points to
	Sum  string // of the content, in hex
}

// A collector gathers what steps take from the repo, and no more: what no step
// takes changes nothing.
type collector struct {
	*reader
	files map[string]File
}

func newCollector(r *reader) *collector { return &collector{r, map[string]File{}} }

// context adds what a step's source names. Like the engines, it may be a
// pattern of path.Match.
func (c *collector) context(r *Recipe, source string) error {
	if slices.ContainsFunc(ignoreFiles(), func(name string) bool {
		_, err := fs.Stat(c.fsys, r.contextPath(name))
		return err == nil && c.add(r.contextPath(name), name) != nil
	}) {
		return errors.New("read the context's ignore file")
	}
	clean := strings.TrimPrefix(path.Clean("/"+source), "/")
	if !strings.ContainsAny(clean, "*?[") {
		return c.tree(r, r.contextPath(clean), clean, 0)
	}
	matched, err := c.matching(r.contextPath("."), clean)
	if err != nil {
		return fmt.Errorf("%q: %w", source, err)
	}
	for _, repo := range matched {
		if err := c.tree(r, repo, within(r.contextPath("."), repo), 0); err != nil {
			return err
		}
	}
	if len(matched) == 0 {
		return refuse(lacksHint, "%q matches nothing in the context %q", source, r.contextPath("."))
	}
	return nil
}

// matching returns what a pattern names in a context, without what lies in a
// folder that it names.
func (c *collector) matching(dir, pattern string) (matched []string, err error) {
	all, err := c.list(dir)
	if err != nil {
		return nil, err
	}
	if err := c.spend(1 + len(all)/4); err != nil {
		return nil, err
	}
	for _, repo := range all {
		if n := len(matched); n > 0 && below(matched[n-1], repo) {
			continue
		}
		ok, err := path.Match(pattern, within(dir, repo))
		if err != nil {
			return nil, err
		}
		if ok {
			matched = append(matched, repo)
		}
	}
	return matched, nil
}

// list returns the paths in the repo of all that a folder holds, itself included.
func (c *collector) list(dir string) (all []string, err error) {
	if all, known := c.listed[dir]; known {
		return all, nil
	}
	err = fs.WalkDir(c.fsys, dir, func(repo string, _ fs.DirEntry, err error) error {
		all = append(all, repo)
		return errors.Join(err, c.spend(entryWork))
	})
	if err == nil && c.checks() {
		c.listed[dir] = all
	}
	return all, err
}

const lacksHint = "add it, or correct the path; paths begin at the context, which is the repo's root unless context says otherwise"

// maxLinks is how many links may lead from one to the next.
const maxLinks = 16

// tree adds a file, or a folder with all in it. A link that a step names is
// followed by the engine, so what it leads to is added too.
func (c *collector) tree(r *Recipe, repo, name string, links int) error {
	info, err := fs.Lstat(c.fsys, repo)
	if err != nil {
		return refuse(lacksHint, "the context %q lacks %q", r.contextPath("."), name)
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return c.walk(repo, name)
	}
	if err := c.add(repo, name); err != nil {
		return err
	}
	target := c.files[name].Link
	to := path.Join(path.Dir(name), target)
	if path.IsAbs(target) || to == ".." || strings.HasPrefix(to, "../") {
		return refuse("copy the file into it", "%s is a link to %q, which leaves the context", repo, target)
	}
	if links == maxLinks {
		return refuse("let it point to a file", "%s: links lead on and on", repo)
	}
	return c.tree(r, r.contextPath(to), to, links+1)
}

func (c *collector) walk(repo, name string) error {
	if err, done := c.walked[repo]; done {
		return err
	}
	err := c.walkAll(repo, name)
	if c.checks() {
		c.walked[repo] = err
	}
	return err
}

func (c *collector) walkAll(repo, name string) error {
	return fs.WalkDir(c.fsys, repo, func(p string, d fs.DirEntry, err error) error {
		if err := errors.Join(err, c.spend(entryWork)); err != nil {
			return err
		}
		if d.Type()&fs.ModeIrregular != 0 {
			return nil // a submodule: its files are in another repo
		}
		return c.add(p, path.Join(name, within(repo, p)))
	})
}

// within returns the path of name below dir.
func within(dir, name string) string {
	if dir == "." {
		return name
	}
	return strings.TrimPrefix(strings.TrimPrefix(name, dir), "/")
}

// script adds a folder that holds a script. Links to files elsewhere in the
// repo, which scripts share, become those files: nothing but the folder is there
// when the script runs.
func (c *collector) script(repo, name string) error {
	if err := c.walk(repo, name); err != nil {
		return err
	}
	for _, f := range c.sorted() {
		target := path.Join(path.Dir(f.Repo), f.Link)
		if f.Link == "" || path.IsAbs(f.Link) || !below(name, f.Name) || below(repo, target) {
			continue
		}
		info, err := fs.Stat(c.fsys, target)
		if err != nil || !info.Mode().IsRegular() {
			continue // it may mean something in the image
		}
		delete(c.files, f.Name)
		if err := c.add(target, f.Name); err != nil {
			return err
		}
	}
	return nil
}

// below reports whether name is dir or lies below it; "" and "." are all.
func below(dir, name string) bool {
	return dir == "" || dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

// own adds a file or folder of the repo to gitboot's folder of the context.
func (c *collector) own(repo string) error {
	return c.walk(repo, path.Join(OwnFolder, repo))
}

// sum hashes what was gathered of a file or folder of the context, "" for all.
func (c *collector) sum(name string) string {
	if c.checks() {
		return "" // nobody looks at it
	}
	h := sha256.New()
	for _, f := range c.sorted() {
		if below(name, f.Name) {
			fmt.Fprintf(h, "%q %v %s\n", f.Name, f.Mode, f.Sum)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

func (c *collector) add(repo, name string) error {
	if _, ok := c.files[name]; ok || name == "" { // "" is the context itself
		return nil
	}
	info, err := fs.Lstat(c.fsys, repo)
	if err != nil {
		return err
	}
	f := File{Name: name, Repo: repo, Mode: info.Mode()}
	h := sha256.New()
	switch {
	case info.IsDir():
	case info.Mode()&fs.ModeSymlink != 0:
		if f.Link, err = fs.ReadLink(c.fsys, repo); err != nil {
			return err
		}
		if to := path.Join(path.Dir(repo), f.Link); !path.IsAbs(f.Link) && (to == ".." || strings.HasPrefix(to, "../")) {
			return refuse("copy the file into it", "%s is a link to %q, which leaves the repo", repo, f.Link)
		}
		io.WriteString(h, f.Link)
	case c.checks():
	default:
		if err := copyFile(h, c.fsys, repo); err != nil {
			return err
		}
	}
	f.Sum = hex.EncodeToString(h.Sum(nil))
	c.files[name] = f
	return nil
}

func copyFile(w io.Writer, fsys fs.FS, name string) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

func (c *collector) sorted() []File {
	out := slices.Collect(maps.Values(c.files))
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// parts names the files as they are named in the repo, or their folders.
func (c *collector) parts() []Part {
	if c.checks() {
		return nil
	}
	byRepo := map[string]string{}
	for _, f := range c.sorted() {
		if f.Mode.IsDir() {
			continue
		}
		byRepo[f.Repo] = fmt.Sprintf("%v %s", f.Mode, f.Sum)
	}
	return foldParts(byRepo)
}
