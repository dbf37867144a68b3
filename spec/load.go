package spec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/build/recipe"
)

// RootFile is the config file that a config repo must have.
const RootFile = "gitboot.toml"

// A Fleet is what one config repo declares. It doesn't change, and can be
// used by several goroutines.
type Fleet struct {
	fsys     fs.FS
	files    *fileCache
	repo     *string
	defaults defaultsDecl
	profiles map[string]*profileDecl
	images   map[string]*imageDecl
	machines map[string]*machineDecl
	hooks    map[string]*hookDecl
}

// Load reads a config repo and checks all of it. Its error is Problems, or the
// context's.
func Load(ctx context.Context, fsys fs.FS) (*Fleet, error) {
	l := newLoader(ctx, fsys)
	root, ok := l.read(RootFile)
	if ok {
		l.declare(RootFile, root)
		l.fleet.repo = root.Repo
	}
	for _, name := range l.included(root.Include) {
		if ctx.Err() != nil || l.full {
			break
		}
		doc, ok := l.read(name)
		if !ok {
			continue
		}
		for key, given := range map[string]bool{"include": doc.Include != nil, "repo": doc.Repo != nil} {
			if given {
				l.add(place{file: name, node: l.roots[name]}.at(key), "", "is only read in "+RootFile, "move it there")
			}
		}
		l.declare(name, doc)
	}
	// What a file that could not be read declares is unknown: to call it
	// missing would hide the one real problem behind a hundred.
	l.link(!l.incomplete)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("reading the config repo: %w", err)
	}
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.fleet, nil
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
	decoder
	fleet *Fleet
	roots map[string]*node
	// recipes checks what images are built from.
	recipes *recipe.Checker
	// incomplete: some file's declarations are not known.
	incomplete bool
	// What may still be read. full: that was not enough.
	bytes, keys int
	full        bool
	work        meter
	templates   map[string]string // what is wrong with a file, once looked at
}

func newLoader(ctx context.Context, fsys fs.FS) *loader {
	l := &loader{
		decoder: decoder{ctx: ctx}, bytes: maxConfig, keys: maxKeys, work: meter{ctx: ctx, left: maxWork}, templates: map[string]string{},
		roots:   map[string]*node{},
		recipes: recipe.NewChecker(fsys),
		fleet: &Fleet{
			fsys:     fsys,
			files:    &fileCache{read: map[string]repoFile{}},
			profiles: map[string]*profileDecl{},
			images:   map[string]*imageDecl{},
			machines: map[string]*machineDecl{},
			hooks:    map[string]*hookDecl{},
		},
	}
	l.recipes.Reference, l.recipes.Spend = refCheck.text, l.spend
	return l
}

// read parses and decodes one file. It returns false if the file's
// declarations cannot be known.
func (l *loader) read(name string) (document, bool) {
	var doc document
	text, err := readFile(l.fleet.fsys, name, l.bytes)
	if errors.As(err, new(tooLargeError)) {
		l.tooMuch(place{file: name}, fmt.Sprintf("makes the config files larger than %d MiB in all", maxConfig>>20))
		return doc, false
	}
	l.bytes -= len(text)
	if err != nil {
		l.incomplete = true
		hint := "make it readable"
		if errors.Is(err, fs.ErrNotExist) {
			hint = "gitboot init writes one to begin with"
		}
		l.add(place{file: name}, "", "cannot be read: "+reason(err), hint)
		return doc, false
	}
	table, ok := l.parse(name, string(text))
	if ok {
		l.table(place{file: name, node: l.roots[name]}, table, reflect.ValueOf(&doc).Elem())
	}
	return doc, ok
}

// parse returns a file's TOML as maps, and keeps its positions.
func (l *loader) parse(name, text string) (table map[string]any, ok bool) {
	s := scan(text, l.keys)
	l.keys -= s.keys
	l.roots[name] = s.root
	defer func() { l.incomplete = l.incomplete || !ok }()
	if s.keys > s.most {
		l.tooMuch(onLineOf(name, s.line, ""), fmt.Sprintf("is where the config files have more than %d keys and elements in all", maxKeys))
		return nil, false
	}
	if s.refused != "" {
		l.add(onLineOf(name, s.line, ""), "", s.refused, "write it flatter and shorter")
		return nil, false
	}
	table, err := l.decoded(text)
	if l.ctx.Err() != nil {
		return nil, false
	}
	if err == nil {
		for _, added := range s.added {
			l.complete(onLineOf(name, added.line, added.node.key()), place{file: name, node: added.node})
		}
		return table, len(s.added) == 0
	}
	var bad toml.ParseError
	if !errors.As(err, &bad) {
		l.add(place{file: name}, "", "is not valid TOML: "+err.Error(), "see https://toml.io")
		return nil, false
	}
	if strings.Contains(bad.Message, "already been defined") && len(s.again) > 0 {
		for _, again := range s.again {
			l.twice(onLineOf(name, again.line, again.node.key()), place{file: name, node: again.node})
		}
		return nil, false
	}
	// Position.Line is the next line's if a newline is what is wrong.
	before := max(0, min(bad.Position.Start, len(text))) // it can be -1
	line := 1 + strings.Count(text[:before], "\n")
	l.add(onLineOf(name, line, bad.LastKey), "",
		"is not valid TOML: "+strings.TrimSuffix(bad.Message, "."), "see https://toml.io")
	return nil, false
}

// decoded is a document's TOML. The library cannot be interrupted: what it
// does for a large document is left alone when the context ends.
func (l *loader) decoded(text string) (map[string]any, error) {
	type outcome struct {
		table map[string]any
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		o.err = decodeTOML(text, &o.table)
		done <- o
	}()
	select {
	case o := <-done:
		return o.table, o.err
	case <-l.ctx.Done():
		return nil, l.ctx.Err()
	}
}

// decodeTOML turns the library's own failed assertions into errors: no
// document may end the agent.
func decodeTOML(text string, into *map[string]any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	_, err = toml.Decode(text, into)
	return err
}

// declare adds a file's declarations to the fleet's.
func (l *loader) declare(name string, doc document) {
	f := l.fleet
	addAll(l, f.profiles, doc.Profile, func(d *profileDecl) place { return d.where })
	addAll(l, f.images, doc.Image, func(d *imageDecl) place { return d.where })
	addAll(l, f.machines, doc.Machine, func(d *machineDecl) place { return d.where })
	addAll(l, f.hooks, doc.Hook, func(d *hookDecl) place { return d.where })
	if d := doc.Defaults; d != nil {
		if f.defaults.where.file != "" {
			l.twice(d.where, f.defaults.where)
			return
		}
		f.defaults = *d
	}
}

func addAll[D any](l *loader, all, more map[string]*D, where func(*D) place) {
	for name, decl := range more {
		if first, ok := all[name]; ok {
			l.twice(where(decl), where(first))
			continue
		}
		all[name] = decl
	}
}

// onLineOf is a place that no node stands for.
func onLineOf(file string, line int, key string) place {
	return place{file: file, node: &node{line: line}, absent: key}
}

func (l *loader) twice(second, first place) {
	l.add(second, "", fmt.Sprintf("is declared twice, first at %s", first), "remove one, or merge them")
}

func (l *loader) complete(second, first place) {
	l.add(second, "", fmt.Sprintf("is not valid TOML: it adds to a table that is complete, at %s", first),
		"write the whole table in one place: inline, with dots, or below a header of its own")
}

func (l *loader) tooMuch(p place, what string) {
	l.incomplete, l.full = true, true
	l.add(p, "", what, "split the repo, or declare what machines share in profiles")
}

// spend says whether more may be done.
func (l *loader) spend(n int) bool {
	if l.work.spend(n) {
		return true
	}
	if !l.full && l.ctx.Err() == nil {
		l.tooMuch(place{file: RootFile}, "declares too much")
	}
	return false
}

type tooLargeError struct{ most int }

func (e tooLargeError) Error() string {
	return fmt.Sprintf("it is larger than %d MiB; put it into an image", e.most>>20)
}

// readFile reads a file of the config repo, up to a size.
func readFile(fsys fs.FS, name string, most int) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a folder")
	case info.Size() > int64(most):
		return nil, tooLargeError{most}
	}
	data := make([]byte, info.Size())
	_, err = io.ReadFull(f, data)
	return data, err
}

// reason takes the path out of a file system's error: the problem names it.
func reason(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}
