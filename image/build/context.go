package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A contextFile is one file, link or folder that an engine may see.
type contextFile struct {
	name string // in the context
	repo string // in the repo
	mode fs.FileMode
	link string
	sum  string
}

// A collector gathers what steps take from the repo, and no more: what no step
// takes changes nothing.
type collector struct {
	fsys  fs.FS
	files map[string]contextFile
}

func newCollector(fsys fs.FS) *collector {
	return &collector{fsys, map[string]contextFile{}}
}

// context adds what a step's source names. Like the engines, it may be a
// pattern of path.Match.
func (c *collector) context(r *Recipe, source string) error {
	if slices.ContainsFunc([]string{".containerignore", ".dockerignore"}, func(name string) bool {
		_, err := fs.Stat(c.fsys, r.contextPath(name))
		return err == nil && c.add(r.contextPath(name), name) != nil
	}) {
		return errors.New("read the context's ignore file")
	}
	clean := strings.TrimPrefix(path.Clean("/"+source), "/")
	if !strings.ContainsAny(clean, "*?[") {
		return c.tree(r, r.contextPath(clean), clean, 0)
	}
	found := false
	err := fs.WalkDir(c.fsys, r.contextPath("."), func(repo string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := within(r.contextPath("."), repo)
		if ok, err := path.Match(clean, name); err != nil {
			return fmt.Errorf("%q: %w", source, err)
		} else if !ok {
			return nil
		}
		found = true
		if err := c.tree(r, repo, name, 0); err != nil || !d.IsDir() {
			return err
		}
		return fs.SkipDir
	})
	if err == nil && !found {
		err = fmt.Errorf("%q matches nothing in the context %q", source, r.contextPath("."))
	}
	return err
}

// maxLinks is how many links may lead from one to the next.
const maxLinks = 16

// tree adds a file, or a folder with all in it. A link that a step names is
// followed by the engine, so what it leads to is added too.
func (c *collector) tree(r *Recipe, repo, name string, links int) error {
	info, err := fs.Lstat(c.fsys, repo)
	if err != nil {
		return fmt.Errorf("the context %q lacks %q: %w", r.contextPath("."), name, err)
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return c.walk(repo, name)
	}
	if err := c.add(repo, name); err != nil {
		return err
	}
	target := c.files[name].link
	to := path.Join(path.Dir(name), target)
	if path.IsAbs(target) || to == ".." || strings.HasPrefix(to, "../") {
		return fmt.Errorf("%s is a link to %q, which leaves the context; copy the file into it", repo, target)
	}
	if links == maxLinks {
		return fmt.Errorf("%s: links lead on and on", repo)
	}
	return c.tree(r, r.contextPath(to), to, links+1)
}

func (c *collector) walk(repo, name string) error {
	return fs.WalkDir(c.fsys, repo, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
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
		target := path.Join(path.Dir(f.repo), f.link)
		if f.link == "" || path.IsAbs(f.link) || !below(name, f.name) || below(repo, target) {
			continue
		}
		info, err := fs.Stat(c.fsys, target)
		if err != nil || !info.Mode().IsRegular() {
			continue // it may mean something in the image
		}
		delete(c.files, f.name)
		if err := c.add(target, f.name); err != nil {
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
	return c.walk(repo, path.Join(ownFolder, repo))
}

// sum hashes what was gathered of a file or folder of the context, "" for all.
func (c *collector) sum(name string) string {
	h := sha256.New()
	for _, f := range c.sorted() {
		if below(name, f.name) {
			fmt.Fprintf(h, "%q %v %s\n", f.name, f.mode, f.sum)
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
	f := contextFile{name: name, repo: repo, mode: info.Mode()}
	h := sha256.New()
	switch {
	case info.IsDir():
	case info.Mode()&fs.ModeSymlink != 0:
		if f.link, err = fs.ReadLink(c.fsys, repo); err != nil {
			return err
		}
		if to := path.Join(path.Dir(repo), f.link); !path.IsAbs(f.link) && (to == ".." || strings.HasPrefix(to, "../")) {
			return fmt.Errorf("%s is a link to %q, which leaves the repo; copy the file into it", repo, f.link)
		}
		io.WriteString(h, f.link)
	default:
		if err := copyFile(h, c.fsys, repo); err != nil {
			return err
		}
	}
	f.sum = hex.EncodeToString(h.Sum(nil))
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

func (c *collector) sorted() []contextFile {
	out := slices.Collect(maps.Values(c.files))
	slices.SortFunc(out, func(a, b contextFile) int { return strings.Compare(a.name, b.name) })
	return out
}

// parts names the files as they are named in the repo, or their folders.
func (c *collector) parts() []Part {
	byRepo := map[string]string{}
	for _, f := range c.sorted() {
		if f.mode.IsDir() {
			continue
		}
		byRepo[f.repo] = fmt.Sprintf("%v %s", f.mode, f.sum)
	}
	return foldParts(byRepo)
}

// writeContext fills an empty folder with the context.
func (p *Prepared) writeContext(dir string) error {
	if err := p.writeFiles(dir, p.files); err != nil {
		return fmt.Errorf("write context: %w", err)
	}
	return nil
}

func (p *Prepared) writeFiles(dir string, files []contextFile) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, f := range files {
		if err := p.writeFile(root, f); err != nil {
			return err
		}
	}
	return nil
}

func (p *Prepared) writeFile(root *os.Root, f contextFile) error {
	if f.mode.IsDir() {
		return root.MkdirAll(f.name, 0o755)
	}
	if err := root.MkdirAll(path.Dir(f.name), 0o755); err != nil {
		return err
	}
	if f.link != "" {
		return root.Symlink(f.link, filepath.FromSlash(f.name))
	}
	out, err := root.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode.Perm())
	if err != nil {
		return err
	}
	err = copyFile(out, p.FS, f.repo)
	if f.name == ".containerignore" || f.name == ".dockerignore" {
		_, more := out.WriteString("\n!" + ownFolder + "\n!" + ownFolder + "/**\n")
		err = errors.Join(err, more)
	}
	return errors.Join(err, out.Chmod(f.mode.Perm()), out.Close())
}
