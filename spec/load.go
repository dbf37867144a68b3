package spec

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/find"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/problem"
	"github.com/gitboot/gitboot/spec/render"
	"github.com/gitboot/gitboot/spec/table"
)

// RootFile is the config file that a config repo must have.
const RootFile = "gitboot.toml"

// A Fleet is what one config repo declares. It doesn't change, and can be
// used by several goroutines.
type Fleet struct {
	fsys  fs.FS
	files *bounds.Cache
	// templates are those that were executed for another machine.
	templates *render.Templates
	repo      *string
	defaults  defaultsDecl
	profiles  map[string]*profileDecl
	images    map[string]*imageDecl
	machines  map[string]*machineDecl
	hooks     map[string]*hookDecl
	secrets   map[string]*secretDecl
	readers   map[string]Reader
	// signs are the machines for which each signs.
	signs map[string][]string
}

// A Reader says what is wrong with a file, for who will read it on the machine.
type Reader func(text string) (wrong []string)

// ReadBy has the files that hooks write at a path be judged by who will read them
// there, but for those with secrets, which are not known before the machine opens them.
func (f *Fleet) ReadBy(path string, reader Reader) {
	if f.readers == nil {
		f.readers = map[string]Reader{}
	}
	f.readers[path] = reader
}

// What is wrong with a config repo.
type (
	Problem             = problem.Problem
	Problems            = problem.Problems
	TooMany             = problem.TooMany
	UnknownMachineError = problem.UnknownMachineError
)

// Schema returns the JSON Schema (draft 2020-12) of every config file, for
// editors. It is generated from the structs that the decoder fills, so it
// knows the same keys. What needs other files, such as references, and what
// no pattern can say, such as a schedule that never comes, only Load checks.
func Schema() []byte { return table.Schema(reflect.TypeFor[document]()) }

// WrongText says what is wrong with a text as the value of a key that is: such a
// thing, in the words of which a config repo is refused; "" if nothing is.
func WrongText(is, s string) string {
	message, _ := table.Of(is).Text(s)
	return message
}

// Lines returns the lines of a TOML document's keys by their dotted names, for
// messages about other files than the config repo's. Keys in arrays have none.
func Lines(document string) map[string]int { return position.Lines(document, bounds.MaxKeys) }

// Load reads a config repo, by several goroutines, and checks all of it. Its error is
// Problems, the context's, or, where the files tell it by a method Failure, that of a
// machine that failed to give them.
func Load(ctx context.Context, fsys fs.FS) (*Fleet, error) { return load(newLoader(ctx, fsys)) }

// LoadToSeal reads a config repo for who is about to encrypt its secrets: their
// files need not be there, or right.
func LoadToSeal(ctx context.Context, fsys fs.FS) (*Fleet, error) {
	l := newLoader(ctx, fsys)
	l.sealing = true
	return load(l)
}

func load(l *loader) (*Fleet, error) {
	file := l.parsed(RootFile)
	if root, ok := l.decode(file); ok {
		l.declare(root)
		l.fleet.repo = root.Repo
		for file := range l.inTurn(l.included(file.scan.Root.At("include"), root.Include)) {
			if l.Ctx.Err() != nil || l.full {
				break
			}
			l.include(file)
		}
	}
	// What a file that could not be read declares is unknown: to call it
	// missing would hide the one real problem behind a hundred.
	files := &fileChecks{loader: l}
	files.all()
	if !l.incomplete {
		(&linker{loader: l, targets: newTargets(l.fleet)}).link()
	}
	if err := l.Ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading the config repo: %w", err)
	}
	if err := l.fleet.judged(l.Err()); err != nil {
		return nil, err
	}
	return l.fleet, nil
}

// judged is what is wrong with the files. Of files that know that the machine failed to
// give them it is that: what was found wrong may be right.
func (f *Fleet) judged(wrong error) error {
	files, ok := f.fsys.(interface{ Failure() error })
	if !ok || files.Failure() == nil {
		return wrong
	}
	return fmt.Errorf("reading the config repo: %w", files.Failure())
}

// Repo returns what the repo calls itself, "" if nothing.
func (f *Fleet) Repo() string { return text(f.repo) }

// Machines returns the names of the fleet's machines, sorted.
func (f *Fleet) Machines() []string { return sortedKeys(f.machines) }

// Images returns the names of the fleet's images, sorted.
func (f *Fleet) Images() []string { return sortedKeys(f.images) }

// Hooks returns the names of the declared hooks, sorted.
func (f *Fleet) Hooks() []string { return sortedKeys(f.hooks) }

type loader struct {
	table.Decoder
	fleet *Fleet
	// recipes checks what images are built from.
	recipes *recipe.Checker
	// sealing: the secrets' files need not be right.
	sealing bool
	// incomplete: some file's declarations are not known.
	incomplete bool
	// What may still be read. full: that was not enough.
	bytes, keys int
	full        bool
	work        bounds.Meter
}

func newLoader(ctx context.Context, fsys fs.FS) *loader {
	l := &loader{
		Decoder: table.Decoder{Ctx: ctx}, bytes: bounds.MaxConfig, keys: bounds.MaxKeys, work: bounds.Meter{Ctx: ctx, Left: bounds.MaxWork},
		recipes: recipe.NewChecker(fsys),
		fleet: &Fleet{
			fsys:      fsys,
			files:     new(bounds.Cache),
			templates: new(render.Templates),
			profiles:  map[string]*profileDecl{},
			images:    map[string]*imageDecl{},
			machines:  map[string]*machineDecl{},
			hooks:     map[string]*hookDecl{},
			secrets:   map[string]*secretDecl{},
			signs:     map[string][]string{},
		},
	}
	l.recipes.Reference, l.recipes.Spend = table.Of("image-ref").Text, l.spend
	return l
}

// include adds what a file declares that is not the root.
func (l *loader) include(file parsed) {
	if !l.fits(file) {
		file = l.parsed(file.name)
	}
	doc, ok := l.decode(file)
	if !ok {
		return
	}
	for key, given := range map[string]bool{"include": doc.Include != nil, "repo": doc.Repo != nil} {
		if given {
			l.Add(file.scan.Root.At(key), "", "is only read in "+RootFile, "move it there")
		}
	}
	l.declare(doc)
}

// decode returns what a file declares, or false if that cannot be known.
func (l *loader) decode(file parsed) (document, bool) {
	var doc document
	if errors.As(file.unread, new(bounds.TooLargeError)) {
		l.tooMuch(position.InFile(file.name), fmt.Sprintf("makes the config files larger than %d MiB in all", bounds.MaxConfig>>20))
		return doc, false
	}
	l.bytes -= len(file.text)
	if file.unread != nil {
		l.incomplete = true
		hint := "make it readable"
		if errors.Is(file.unread, fs.ErrNotExist) {
			hint = "gitboot init writes one to begin with"
		}
		l.Add(position.InFile(file.name), "", "cannot be read: "+bounds.Reason(file.unread), hint)
		return doc, false
	}
	ok := l.accept(file)
	if ok {
		l.Table(file.scan.Root, file.table, reflect.ValueOf(&doc).Elem())
	}
	return doc, ok
}

// accept reports what is wrong with a file's TOML.
func (l *loader) accept(file parsed) (ok bool) {
	defer func() { l.incomplete = l.incomplete || !ok }()
	if l.Ctx.Err() != nil {
		return false
	}
	s, name, text, err := file.scan, file.name, file.text, file.wrong
	l.keys -= s.Keys
	if s.Keys > s.Most {
		l.tooMuch(position.OnLine(name, s.Line, ""), fmt.Sprintf("is where the config files have more than %d keys and elements in all", bounds.MaxKeys))
		return false
	}
	if s.Refused != "" {
		l.Add(position.OnLine(name, s.Line, ""), "", s.Refused, "write it flatter and shorter")
		return false
	}
	if err == nil {
		for _, added := range s.Added {
			l.complete(position.OnLine(name, added.Line, added.First.Key()), added.First)
		}
		return len(s.Added) == 0
	}
	var bad toml.ParseError
	if !errors.As(err, &bad) {
		l.Add(position.InFile(name), "", "is not valid TOML: "+err.Error(), "see https://toml.io")
		return false
	}
	if strings.Contains(bad.Message, "already been defined") && len(s.Again) > 0 {
		for _, again := range s.Again {
			l.twice(position.OnLine(name, again.Line, again.First.Key()), again.First)
		}
		return false
	}
	// Position.Line is the next line's if a newline is what is wrong.
	before := max(0, min(bad.Position.Start, len(text))) // it can be -1
	line := 1 + strings.Count(text[:before], "\n")
	l.Add(position.OnLine(name, line, bad.LastKey), "",
		"is not valid TOML: "+strings.TrimSuffix(bad.Message, "."), "see https://toml.io")
	return false
}

// declare adds a file's declarations to the fleet's.
func (l *loader) declare(doc document) {
	f := l.fleet
	addAll(l, f.profiles, doc.Profile, func(d *profileDecl) position.Place { return d.where })
	addAll(l, f.images, doc.Image, func(d *imageDecl) position.Place { return d.where })
	addAll(l, f.machines, doc.Machine, func(d *machineDecl) position.Place { return d.where })
	addAll(l, f.hooks, doc.Hook, func(d *hookDecl) position.Place { return d.where })
	addAll(l, f.secrets, doc.Secret, func(d *secretDecl) position.Place { return d.where })
	if d := doc.Defaults; d != nil {
		if f.defaults.where.File() != "" {
			l.twice(d.where, f.defaults.where)
			return
		}
		f.defaults = *d
	}
}

func addAll[D any](l *loader, all, more map[string]*D, where func(*D) position.Place) {
	for name, decl := range more {
		if first, ok := all[name]; ok {
			l.twice(where(decl), where(first))
			continue
		}
		all[name] = decl
	}
}

func (l *loader) twice(second, first position.Place) {
	l.Add(second, "", fmt.Sprintf("is declared twice, first at %s", first), "remove one, or merge them")
}

func (l *loader) complete(second, first position.Place) {
	l.Add(second, "", fmt.Sprintf("is not valid TOML: it adds to a table that is complete, at %s", first),
		"write the whole table in one place: inline, with dots, or below a header of its own")
}

func (l *loader) tooMuch(p position.Place, what string) {
	l.incomplete, l.full = true, true
	l.Add(p, "", what, "split the repo, or declare what machines share in profiles")
}

// spend says whether more may be done.
func (l *loader) spend(n int) bool {
	if l.work.Spend(n) {
		return true
	}
	if !l.full && l.Ctx.Err() == nil {
		l.tooMuch(position.InFile(RootFile), "declares too much")
	}
	return false
}

// profilesOf returns profiles in the order they are merged in: those that a
// profile names before it, each once.
func (f *Fleet) profilesOf(names []string) []*profileDecl {
	var out []*profileDecl
	seen := map[string]bool{}
	var visit func([]string)
	visit = func(names []string) {
		for _, name := range names {
			profile := f.profiles[name]
			if profile == nil || seen[name] {
				continue
			}
			seen[name] = true
			visit(profile.Profiles)
			out = append(out, profile)
		}
	}
	visit(names)
	return out
}

// last is what holds of a machine's defaults, its profiles and itself: what the last says
// that says something, nil if none does.
func last[T any](f *Fleet, profiles []*profileDecl, m *machineDecl, of func(*machineSettings) *T) (said *T) {
	if d := f.defaults.Machine; d != nil {
		said = of(d)
	}
	for _, p := range profiles {
		said = cmp.Or(of(&p.machineSettings), said)
	}
	return cmp.Or(of(&m.machineSettings), said)
}

// sortedKeys returns a map's keys in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// included returns the files that the globs name, sorted, the root left out.
func (l *loader) included(at position.Place, globs []string) []string {
	before := l.Told()
	w := &find.Walk{List: &l.List, FS: l.fleet.fsys, Meter: bounds.Meter{Ctx: l.Ctx, Left: bounds.MaxSearch}, Found: map[string]bool{}, Places: at}
	good := map[int]string{}
	for i, text := range globs {
		if message, _ := table.Of("include").Text(text); message != "" { // the decoder has told
			l.incomplete = true
			continue
		}
		good[i] = text
	}
	w.Globs(good)
	if len(w.Found) > bounds.MaxConfigFiles {
		w.Add(at, "", fmt.Sprintf("names more than %d files", bounds.MaxConfigFiles), "declare more than one machine in a file, or name fewer")
		clear(w.Found)
	}
	l.incomplete = l.incomplete || l.Told() > before
	delete(w.Found, RootFile)
	return slices.Sorted(maps.Keys(w.Found))
}
