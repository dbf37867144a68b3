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

	"github.com/gitboot/gitboot/hooks/check"
	"github.com/gitboot/gitboot/hooks/conflict"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/render"
	"github.com/gitboot/gitboot/spec/table"
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
	on := &onImage{r, r.view(image)}
	for _, decl := range chosen {
		if !r.spend(5 + len(decl.Remove) + len(decl.Dir) + len(decl.File) + len(decl.Link) + len(decl.Run) + len(decl.AtBoot)) {
			return nil
		}
		hooks = append(hooks, on.hook(name[decl], decl))
	}
	for _, c := range conflict.Find(hooks) {
		i := slices.IndexFunc(hooks, func(h kind.Hook) bool { return h.Name == c.Hook })
		r.Add(chosen[i].placeOf(c.Path), c.Path, c.String()+", for machine "+r.name, "change one of the paths")
	}
	return hooks
}

// placeOf is where a hook declares a path, or else the hook.
func (h *hookDecl) placeOf(path string) position.Place {
	for _, targets := range h.targets() {
		for _, t := range targets {
			if text(t.Path) == path {
				return t.where.At("path")
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
func builtinDecl(name string, where position.Place) *hookDecl {
	b, _ := kind.New(name)
	return &hookDecl{site: site{where: where.At("hooks")}, Builtin: b}
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
		return table.Match(glob, image.Name+":"+image.Tag) || !strings.Contains(glob, ":") && table.Match(glob, image.Name)
	})
}

// An onImage resolves hooks for one image, with what their templates see.
type onImage struct {
	*resolver
	v view
}

func (r *onImage) hook(name string, decl *hookDecl) kind.Hook {
	h := kind.Hook{
		Name:    name,
		Removes: slices.Clone(decl.Remove),
		Run:     r.run(decl.Run),
		AtBoot:  r.atBoot(decl.AtBoot),
		Builtin: r.builtin(decl),
	}
	first := once{}
	for i := range decl.Dir {
		if d := &decl.Dir[i]; first.of(&d.targetDecl, r.v.image) {
			h.Dirs = append(h.Dirs, d.dir())
		}
	}
	first = once{}
	for i := range decl.File {
		if f := &decl.File[i]; first.of(&f.targetDecl, r.v.image) {
			h.Files = append(h.Files, r.file(f))
		}
	}
	first = once{}
	for i := range decl.Link {
		if l := &decl.Link[i]; first.of(&l.targetDecl, r.v.image) {
			h.Files = append(h.Files, r.link(l))
		}
	}
	return h
}

// builtin resolves a hook's built-in, nil if it has none.
func (r *onImage) builtin(decl *hookDecl) *kind.Builtin {
	if decl.Builtin == (kind.Builtin{}) {
		return nil
	}
	b := table.Copy(reflect.ValueOf(decl.Builtin)).Interface().(kind.Builtin)
	name, settings, _ := b.One()
	p, wrong := decl.where.At(name), r.Told()
	table.EachField(p, reflect.ValueOf(settings).Elem(), func(p position.Place, value, owner reflect.Value, f *table.Field) {
		table.EachText(p, value, f, func(p position.Place, s reflect.Value) { r.renderText(p, s) })
		if f.Lines != "" {
			r.addLines(p, value, owner, f.Lines)
		}
	})
	if r.Told() > wrong {
		return &b
	}
	settings.Complete(kind.Machine{Name: r.name, ID: text(r.decl.MachineID)})
	for _, problem := range settings.Check() {
		r.AddBuiltin(p, problem, ", for machine "+r.name)
	}
	return &b
}

func (r *onImage) renderText(p position.Place, s reflect.Value) {
	template, problems := s.String(), r.Told()
	s.SetString(r.render(p, template))
	if template != "" && s.String() == "" && r.Told() == problems {
		r.Add(p, template, "comes out empty, for machine "+r.name, "leave the key out if that is meant")
	}
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
		dir.UID, dir.GID = table.ParseOwner(text(d.Owner))
	}
	if d.Mode != nil {
		dir.Mode = parseMode(*d.Mode)
	}
	return dir
}

func (r *onImage) link(decl *linkDecl) kind.File {
	f := kind.File{Path: text(decl.Path), Mode: fs.ModeSymlink | 0o777, Link: text(decl.To)}
	r.renderText(decl.where.At("to"), reflect.ValueOf(&f.Link).Elem())
	if wrong := check.WrongTarget(f.Link); wrong != "" && f.Link != "" {
		r.Add(decl.where.At("to"), f.Link, wrong+", for machine "+r.name, "write the path that the link points to")
	}
	return f
}

func (r *onImage) file(decl *fileDecl) kind.File {
	f := kind.File{Path: text(decl.Path), Link: text(decl.Link)}
	f.UID, f.GID = table.ParseOwner(text(decl.Owner))
	if f.Link != "" {
		f.Mode = fs.ModeSymlink | 0o777
		return f
	}
	if decl.Secret != nil {
		f.Inserts = r.inserts(decl.where.At("secret"), []render.Secret{{Name: *decl.Secret}}, true)
	} else {
		f.Content, f.Inserts = r.content(decl.where, &decl.bodyDecl)
	}
	f.Mode = r.mode(decl, len(f.Inserts) > 0)
	if reader := r.readers[f.Path]; reader != nil && len(f.Inserts) == 0 {
		for _, wrong := range reader(string(f.Content)) {
			r.Add(decl.where.At("path"), f.Path, "is written so that machine "+r.name+" cannot read it: "+wrong, "")
		}
	}
	return f
}

// mode is the declared one, else 0600 for a file with secrets, 0755 for a source
// that is executable in the repo, else 0644.
func (r *onImage) mode(decl *fileDecl, secret bool) fs.FileMode {
	switch {
	case decl.Mode != nil && secret && worldReadable(parseMode(*decl.Mode)):
		r.Add(decl.where.At("mode"), *decl.Mode, "lets everybody read a secret", modeHint)
		return 0o600
	case decl.Mode != nil:
		return parseMode(*decl.Mode)
	case secret:
		return 0o600
	}
	if decl.Source != nil {
		if r.files.Open(r.fsys, path.Clean(*decl.Source)).Mode&0o111 != 0 {
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

func (r *onImage) run(decls []scriptDecl) []kind.Script {
	var out []kind.Script
	for i := range decls {
		d := &decls[i]
		s := r.script("run", i, &d.atBootDecl)
		if s.Timeout = 5 * time.Minute; d.Timeout != nil {
			s.Timeout = duration(d.Timeout)
		}
		s.Network = d.Network != nil && *d.Network
		for n, name := range d.Secrets {
			if secret, ok := r.secret(d.where.At("secrets").Item(n), name); ok {
				s.Secrets = append(s.Secrets, secret)
			}
		}
		for _, key := range sortedKeys(d.Env) {
			if s.Env == nil {
				s.Env = map[string]string{}
			}
			s.Env[key] = r.render(d.where.At("env").At(key), d.Env[key])
		}
		out = append(out, s)
	}
	return out
}

func (r *onImage) atBoot(decls []atBootDecl) []kind.Script {
	var out []kind.Script
	for i := range decls {
		out = append(out, r.script("at_boot", i, &decls[i]))
	}
	return out
}

func (r *onImage) script(what string, i int, d *atBootDecl) kind.Script {
	s := kind.Script{Name: d.name(what, i), Content: r.body(d.where, &d.bodyDecl)}
	if wrong := check.WrongScript(s.Content); wrong != "" {
		r.Add(d.where, s.Name, wrong, interpreterHint)
	}
	return s
}

func (d *atBootDecl) name(what string, i int) string {
	if d.Name != nil {
		return *d.Name
	}
	source := cmp.Or(text(d.Source), text(d.TemplateSource))
	if name := path.Base(source); source != "" && table.Of("name").Matches(name) {
		return name
	}
	return fmt.Sprintf("%s-%d", what, i+1)
}
