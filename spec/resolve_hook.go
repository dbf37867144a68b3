package spec

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/hooks/kind"
)

// hooks returns the machine's hooks that apply to an image, in order.
func (r *resolver) hooks(image Image) []kind.Hook {
	var chosen []*hookDecl
	name := map[*hookDecl]string{}
	for _, hook := range unique(r.merged.Hooks) {
		if !r.spend(1) {
			return nil
		}
		decl := r.Fleet.hooks[hook]
		if decl == nil {
			decl = builtinDecl(hook, r.decl.where)
		}
		if decl.applies(image) {
			name[decl] = hook
			chosen = append(chosen, decl)
		}
	}
	slices.SortStableFunc(chosen, func(a, b *hookDecl) int { return cmp.Compare(a.order(), b.order()) })
	hooks := make([]kind.Hook, 0, len(chosen))
	for _, decl := range chosen {
		if !r.spend(5 + len(decl.Remove) + len(decl.Dir) + len(decl.File) + len(decl.Link) + len(decl.Run) + len(decl.AtBoot)) {
			return nil
		}
		hooks = append(hooks, r.hook(name[decl], decl, r.view(image)))
	}
	for _, c := range kind.Conflicts(hooks) {
		i := slices.IndexFunc(hooks, func(h kind.Hook) bool { return h.Name == c.Hook })
		r.add(chosen[i].placeOf(c.Path), c.Path, c.String()+", for machine "+r.name, "change one of the paths")
	}
	return hooks
}

// placeOf is where a hook declares a path, or else the hook.
func (h *hookDecl) placeOf(path string) place {
	for _, targets := range h.targets() {
		for _, t := range targets {
			if text(t.Path) == path {
				return t.where.at("path")
			}
		}
	}
	return h.where
}

// unique drops repeated names; the first of each stays. Profiles may append
// the same hook.
func unique(names []string) []string {
	var out []string
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// builtinDecl declares a built-in hook with its defaults.
func builtinDecl(name string, where place) *hookDecl {
	b, _ := kind.New(name)
	return &hookDecl{site: site{where: where.at("hooks")}, Builtin: b}
}

func (h *hookDecl) order() int {
	if h.Order == nil {
		return 0
	}
	return *h.Order
}

func (h *hookDecl) applies(image Image) bool {
	return matchesImage(h.Images, image) && (h.Exclude == nil || !matchesImage(h.Exclude, image))
}

// matchesImage says whether one of the globs matches name:tag. A glob without
// a colon may also match the name alone. No globs match every image.
func matchesImage(globs []string, image Image) bool {
	return globs == nil || slices.ContainsFunc(globs, func(glob string) bool {
		return match(glob, image.Name+":"+image.Tag) || !strings.Contains(glob, ":") && match(glob, image.Name)
	})
}

func (r *resolver) hook(name string, decl *hookDecl, v view) kind.Hook {
	h := kind.Hook{
		Name:    name,
		Removes: slices.Clone(decl.Remove),
		Run:     r.run(decl.Run, v),
		AtBoot:  r.atBoot(decl.AtBoot, v),
		Builtin: r.builtin(decl, v),
	}
	first := once{}
	for i := range decl.Dir {
		if d := &decl.Dir[i]; first.of(&d.targetDecl, v.image) {
			h.Dirs = append(h.Dirs, d.dir())
		}
	}
	first = once{}
	for i := range decl.File {
		if f := &decl.File[i]; first.of(&f.targetDecl, v.image) {
			h.Files = append(h.Files, r.file(f, v))
		}
	}
	first = once{}
	for i := range decl.Link {
		if l := &decl.Link[i]; first.of(&l.targetDecl, v.image) {
			h.Files = append(h.Files, r.link(l, v))
		}
	}
	return h
}

// once are the paths that have a declaration which matches the image.
type once map[string]bool

func (o once) of(t *targetDecl, image Image) bool {
	if o[text(t.Path)] || !matchesImage(t.Images, image) {
		return false
	}
	o[text(t.Path)] = true
	return true
}

func (d *dirDecl) dir() kind.Dir {
	dir := kind.Dir{Path: text(d.Path)}
	if d.Mode != nil || d.Owner != nil {
		dir.Mode = 0o755
		dir.UID, dir.GID = parseOwner(d.Owner)
	}
	if d.Mode != nil {
		dir.Mode = parseMode(*d.Mode)
	}
	return dir
}

func (r *resolver) link(decl *linkDecl, v view) kind.File {
	f := kind.File{Path: text(decl.Path), Mode: fs.ModeSymlink | 0o777, Link: text(decl.To)}
	r.renderText(decl.where.at("to"), reflect.ValueOf(&f.Link).Elem(), v)
	if wrong := kind.WrongTarget(f.Link); wrong != "" && f.Link != "" {
		r.add(decl.where.at("to"), f.Link, wrong+", for machine "+r.name, "write the path that the link points to")
	}
	return f
}

func (r *resolver) file(decl *fileDecl, v view) kind.File {
	f := kind.File{Path: text(decl.Path), Link: text(decl.Link)}
	f.UID, f.GID = parseOwner(decl.Owner)
	if f.Link != "" {
		f.Mode = fs.ModeSymlink | 0o777
		return f
	}
	f.Content = r.body(decl.where, &decl.bodyDecl, v)
	f.Mode = r.mode(decl)
	return f
}

// mode is the declared one, else 0755 for a source that is executable in the
// repo, else 0644.
func (r *resolver) mode(decl *fileDecl) fs.FileMode {
	if decl.Mode != nil {
		return parseMode(*decl.Mode)
	}
	if decl.Source != nil {
		if r.files.open(r.fsys, path.Clean(*decl.Source)).mode&0o111 != 0 {
			return 0o755
		}
	}
	return 0o644
}

// parseMode turns octal digits into Go's bits, which lie elsewhere for setuid,
// setgid and sticky.
func parseMode(s string) fs.FileMode {
	n, _ := strconv.ParseUint(s, 8, 32)
	mode := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

func parseOwner(s *string) (uid, gid int) {
	u, g, _ := strings.Cut(text(s), ":")
	uid, _ = strconv.Atoi(u)
	gid, _ = strconv.Atoi(g)
	return uid, gid
}

func (r *resolver) run(decls []scriptDecl, v view) []kind.Script {
	var out []kind.Script
	for i := range decls {
		d := &decls[i]
		s := r.script("run", i, &d.atBootDecl, v)
		if s.Timeout = 5 * time.Minute; d.Timeout != nil {
			s.Timeout = duration(d.Timeout)
		}
		s.Network = d.Network != nil && *d.Network
		for _, key := range sortedKeys(d.Env) {
			if s.Env == nil {
				s.Env = map[string]string{}
			}
			s.Env[key] = r.render(d.where.at("env").at(key), d.Env[key], v)
		}
		out = append(out, s)
	}
	return out
}

func (r *resolver) atBoot(decls []atBootDecl, v view) []kind.Script {
	var out []kind.Script
	for i := range decls {
		out = append(out, r.script("at_boot", i, &decls[i], v))
	}
	return out
}

func (r *resolver) script(what string, i int, d *atBootDecl, v view) kind.Script {
	s := kind.Script{Name: d.name(what, i), Content: r.body(d.where, &d.bodyDecl, v)}
	if wrong := kind.WrongScript(s.Content); wrong != "" {
		r.add(d.where, s.Name, wrong, interpreterHint)
	}
	return s
}

func (d *atBootDecl) name(what string, i int) string {
	if d.Name != nil {
		return *d.Name
	}
	source := cmp.Or(text(d.Source), text(d.TemplateSource))
	if name := path.Base(source); source != "" && nameCheck.pattern.MatchString(name) {
		return name
	}
	return fmt.Sprintf("%s-%d", what, i+1)
}
