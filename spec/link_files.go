package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/find"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/table"
)

// fileChecks checks what declarations say of the repo's files.
type fileChecks struct {
	*loader
	templates map[string]string // what is wrong with a file, once looked at
	keys      map[string]*cosign.KeysError
}

func (l *fileChecks) all() {
	l.templates, l.keys = map[string]string{}, map[string]*cosign.KeysError{}
	f := l.fleet
	if d := f.defaults.Image; d != nil {
		l.keyFile(f.defaults.where.At("image").At("cosign_key"), d.CosignKey)
	}
	for _, name := range f.Images() {
		l.imageFiles(f.images[name])
	}
	for _, name := range f.Machines() {
		l.keyFile(f.machines[name].where.At("objects_key"), f.machines[name].ObjectsKey)
	}
	for _, name := range f.Hooks() {
		l.hookFiles(f.hooks[name])
	}
	for _, name := range sortedKeys(f.secrets) {
		l.secretFile(name, f.secrets[name])
	}
}

// imageFiles checks the repo's files that an image names.
func (l *fileChecks) imageFiles(i *imageDecl) {
	if i.Archive != nil {
		l.archive(i.where.At("archive"), *i.Archive)
	}
	l.keyFile(i.where.At("cosign_key"), i.CosignKey)
	b := i.Build
	if b == nil {
		return
	}
	if archive, ok := strings.CutPrefix(text(b.From), "archive:"); ok {
		l.archive(b.where.At("from"), archive)
	}
	l.keyFile(b.where.At("cosign_key"), b.CosignKey)
	if len(b.Bootstrap) > 0 {
		l.program(b.where.At("bootstrap").Item(0), b.Bootstrap[0])
	}
	if b.Context != nil && !l.file(b.where.At("context"), *b.Context, true) {
		return // each COPY would be said to take what is not there
	}
	l.recipe(b)
}

// program checks a command's first word. One that begins with ./ is a file of
// the repo.
func (l *fileChecks) program(p position.Place, word string) {
	name, inRepo := strings.CutPrefix(word, "./")
	switch {
	case inRepo:
		if message, hint := table.Of("repo-path").Text(name); message != "" {
			l.Add(p, word, message, hint)
		}
	case strings.Contains(word, "/") && !path.IsAbs(word):
		l.Add(p, word, "is neither the name of a program nor a file of the repo", "write a program's name, an absolute path, or ./ and a path from the repo's root")
	}
}

// keyFile checks a file of public keys that lies in the repo.
func (l *fileChecks) keyFile(p position.Place, declared *string) {
	name := keyFile(text(declared))
	if name == "" || path.IsAbs(name) || !l.file(p, name, false) {
		return
	}
	wrong, ok := l.keys[path.Clean(name)]
	if !ok {
		wrong = wrongKeys(l.fleet.fsys, path.Clean(name))
		l.keys[path.Clean(name)] = wrong
	}
	if wrong != nil {
		l.Add(p, name, wrong.Wrong, wrong.Remedy)
	}
}

func wrongKeys(fsys fs.FS, name string) (wrong *cosign.KeysError) {
	data, err := bounds.ReadFile(fsys, name, cosign.MaxKeyFile)
	if err != nil {
		return &cosign.KeysError{Wrong: "cannot be read as a file of public keys: " + bounds.Reason(err), Remedy: "leave nothing but public keys in it"}
	}
	_, err = cosign.ParseKeys(data)
	errors.As(err, &wrong)
	return wrong
}

// archive checks an archive that lies in the repo: a file, or an OCI layout's
// folder.
func (l *fileChecks) archive(p position.Place, name string) {
	if inRepo(name) && table.BadArchive(name) == "" {
		l.there(p, name)
	}
}

func inRepo(archive string) bool {
	return archive != "" && !table.IsURL(archive) && !strings.HasPrefix(archive, "/")
}

// there checks that the repo has a file or folder.
func (l *fileChecks) there(p position.Place, name string) bool {
	info, err := fs.Stat(l.fleet.fsys, path.Clean(name))
	return l.file(p, name, err == nil && info.IsDir())
}

// hookFiles checks the repo's files that a hook names.
func (l *fileChecks) hookFiles(h *hookDecl) {
	for i := range h.File {
		l.body(h.File[i].where, &h.File[i].bodyDecl)
	}
	for i := range h.Run {
		l.body(h.Run[i].where, &h.Run[i].bodyDecl)
	}
	for i := range h.AtBoot {
		l.body(h.AtBoot[i].where, &h.AtBoot[i].bodyDecl)
	}
	l.builtinFiles(h)
}

// builtinFiles checks the repo's files that a built-in hook names, and its
// settings if no template is among them: what templates make of them is
// known for one machine only.
func (l *fileChecks) builtinFiles(h *hookDecl) {
	name, settings, err := h.Builtin.One()
	if err != nil {
		return // the decoder has reported it
	}
	templates, wrong := false, l.Told()
	p := h.where.At(name)
	table.EachField(p, reflect.ValueOf(settings).Elem(), func(p position.Place, v, _ reflect.Value, f *table.Field) {
		if f.Lines != "" {
			for i := range v.Len() {
				l.file(p.Item(i), v.Index(i).String(), false)
			}
		}
		table.EachText(p, v, f, func(_ position.Place, s reflect.Value) { templates = templates || strings.Contains(s.String(), "{{") })
	})
	if !templates && l.Told() == wrong && !l.Reported(p) {
		for _, problem := range settings.Check() {
			l.AddBuiltin(p, problem, "")
		}
	}
}

func (l *fileChecks) body(p position.Place, b *bodyDecl) {
	if b.Source != nil {
		l.file(p.At("source"), *b.Source, false)
	}
	if b.TemplateSource != nil {
		l.file(p.At("template_source"), *b.TemplateSource, false)
		l.templateFile(p.At("template_source"), *b.TemplateSource)
	}
}

func (l *fileChecks) templateFile(p position.Place, name string) {
	if find.LeavesRepo(name) != "" {
		return
	}
	wrong, ok := l.templates[name]
	if !ok {
		text, err := bounds.ReadFile(l.fleet.fsys, path.Clean(name), bounds.MaxFile)
		if err != nil || !l.spend(len(text)/32) {
			return
		}
		wrong = table.BadTemplate(string(text))
		l.templates[name] = wrong
	}
	if wrong != "" {
		l.Add(p, name, wrong, table.Of("template").Remedy)
	}
}

// file checks a path in the repo; folder says which of the two it must be. A
// path that is none was reported before.
func (l *fileChecks) file(p position.Place, name string, folder bool) (ok bool) {
	if message, _ := table.Of("repo-path").Text(name); message != "" || !l.spend(10) {
		return false
	}
	info, err := fs.Stat(l.fleet.fsys, path.Clean(name))
	switch {
	case err != nil:
		hint := "add it, or correct the path; paths begin at the repo's root"
		beside := path.Join(path.Dir(p.File()), name)
		if _, err := fs.Stat(l.fleet.fsys, beside); err == nil {
			hint = fmt.Sprintf("paths begin at the repo's root: write %q", beside)
		}
		l.Add(p, name, "is not in the repo", hint)
	case info.IsDir() && !folder:
		l.Add(p, name, "is a folder", "name a file")
	case !info.IsDir() && folder:
		l.Add(p, name, "is not a folder", "name a folder")
	default:
		return true
	}
	return false
}

// recipe checks all that a build is rendered from, by rendering it. Paths that
// are none were reported before.
func (l *fileChecks) recipe(b *buildDecl) {
	r := recipe.Recipe{
		Scratch: text(b.From) == "scratch" && len(b.Bootstrap) == 0,
		Context: cleanPath(b.Context),
		Run:     b.Run, Args: b.Args, Labels: b.Labels, Secrets: b.Secrets, Platform: text(b.Platform),
		RootfsFixes: b.RootfsFixes == nil || *b.RootfsFixes,
	}
	if len(b.Bootstrap) > 0 && isRepoPath(strings.TrimPrefix(b.Bootstrap[0], "./")) {
		r.Bootstrap = b.Bootstrap
	}
	for n, name := range b.Containerfiles {
		if l.file(b.where.At("containerfiles").Item(n), name, false) {
			r.Containerfiles = append(r.Containerfiles, path.Clean(name))
		}
	}
	if b.Recipe != nil && l.file(b.where.At("recipe"), *b.Recipe, true) {
		r.Recipe = cleanPath(b.Recipe)
	}
	var copied []int // where what is checked is in the declaration
	for n, c := range b.Copy {
		if l.there(b.where.At("copy").Item(n).At("from"), text(c.From)) {
			r.Copy = append(r.Copy, recipe.Copy{From: cleanPath(c.From), To: text(c.To)})
			copied = append(copied, n)
		}
	}
	for _, p := range l.recipes.Check(r) {
		if len(p.At) > 1 && p.At[0] == "copy" {
			n, _ := strconv.Atoi(p.At[1])
			p.At = slices.Concat([]string{"copy", strconv.Itoa(copied[n])}, p.At[2:])
		}
		l.recipeProblem(b, p)
	}
}

func isRepoPath(name string) bool {
	message, _ := table.Of("repo-path").Text(name)
	return message == ""
}

// recipeProblem reports a problem of a fragment by its line, and one of the
// declaration by its key.
func (l *fileChecks) recipeProblem(b *buildDecl, p recipe.Problem) {
	if p.File != "" {
		l.Add(position.OnLine(p.File, p.Line, ""), p.Value, p.Message, p.Hint)
		return
	}
	at := b.where
	for _, key := range p.At {
		if n, err := strconv.Atoi(key); err == nil && n < at.Items() {
			at = at.Item(n)
		} else {
			at = at.At(key)
		}
	}
	l.Add(at, p.Value, p.Message, p.Hint)
}
