package initramfs

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/initramfs/modindex"
	"github.com/gitboot/gitboot/rootfs"
)

// A module is one .ko file.
type module struct {
	name string
	path string // below the module folder, without .gz, .xz or .zst
	node *rootfs.Node

	load     sync.Once
	err      error
	write    func(io.Writer) error // writes the file, expanded
	size     int64                 // of that
	kept     []byte                // the same, if it is in memory
	imports  []string
	depends  []string
	softPre  []string
	softPost []string
	aliases  []string
	firmware []string // names of files that it may ask for
}

// A moduleSet is all modules of one kernel, by name. Content is read when it
// is asked for.
type moduleSet struct {
	tree    *rootfs.Tree
	byName  map[string]*module
	builtIn map[string]bool

	mu       sync.Mutex
	inMemory int64     // bytes of what was read
	kept     []*module // whose content is in memory
}

// openModules lists a kernel's modules.
func openModules(t *rootfs.Tree, k Kernel) (*moduleSet, error) {
	dir, err := moduleDir(t, k.Version)
	if err != nil {
		return nil, err
	}
	if dir == nil {
		return nil, fmt.Errorf("finding the modules of kernel %s (%s): the image has no /lib/modules/%s; install the modules of this kernel, or let the image's kernel setting choose another one", k.Version, k.Path, k.Version)
	}
	s := &moduleSet{tree: t, byName: make(map[string]*module), builtIn: make(map[string]bool)}
	list, err := t.ReadFile(path.Join(dir.Path, "modules.builtin"), rootfs.MaxRead)
	if err != nil {
		return nil, fmt.Errorf("reading which modules kernel %s has built in: %w; install the kernel's package whole", k.Version, err)
	}
	for line := range strings.Lines(string(list)) {
		s.builtIn[modindex.Name(strings.TrimSpace(line))] = true
	}
	return s, s.list(dir, "")
}

func (s *moduleSet) list(dir *rootfs.Node, below string) error {
	names, err := s.tree.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		plain, isModule := moduleFile(name)
		if !isModule && (strings.Contains(name, ".") || name == "build" || name == "source") {
			continue
		}
		n, err := s.tree.Child(dir, name)
		if err != nil {
			return err
		}
		switch {
		case n == nil:
		case isModule && n.Mode().IsRegular():
			s.add(&module{name: modindex.Name(name), path: path.Join(below, plain), node: n})
		case !isModule && n.Mode().IsDir():
			if err := s.list(n, path.Join(below, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// add prefers the folders that depmod prefers: updates before what the
// kernel came with.
func (s *moduleSet) add(m *module) {
	if old := s.byName[m.name]; old == nil || strings.HasPrefix(old.path, "kernel/") {
		s.byName[m.name] = m
	}
}

func moduleFile(name string) (plain string, ok bool) {
	for _, ext := range []string{"", ".gz", ".xz", ".zst"} {
		if p, found := strings.CutSuffix(name, ".ko"+ext); found {
			return p + ".ko", true
		}
	}
	return "", false
}

// paths returns modules below any of the folders, sorted by path.
func (s *moduleSet) below(dirs ...string) []*module {
	var out []*module
	for _, m := range s.byName {
		if slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(m.path, d) }) {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b *module) int { return strings.Compare(a.path, b.path) })
	return out
}

// readAll reads modules side by side.
func (s *moduleSet) readAll(ctx context.Context, list []*module) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, m := range list {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return s.read(m)
		})
	}
	return g.Wait()
}

func (s *moduleSet) read(m *module) error {
	m.load.Do(func() {
		data, err := s.fetch(m)
		if err == nil {
			err = m.parse(data)
		}
		if err != nil {
			m.err = fmt.Errorf("reading module /%s: %w", m.node.Path, err)
		}
	})
	return m.err
}

// parse reads the symbols that a module imports and its .modinfo section.
func (m *module) parse(data []byte) error {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if m.imports, err = undefined(f); err != nil {
		return err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return fmt.Errorf("it has no .modinfo section")
	}
	info, err := section.Data()
	if err != nil {
		return err
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "depends":
			m.depends = append(m.depends, names(strings.Split(value, ","))...)
		case "alias":
			m.aliases = append(m.aliases, value)
		case "firmware":
			m.firmware = append(m.firmware, value)
		case "softdep":
			m.softdep(value)
		}
	}
	return nil
}

func names(list []string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, strings.ReplaceAll(s, "-", "_"))
		}
	}
	return out
}

// softdep reads "pre: a b post: c".
func (m *module) softdep(value string) {
	list := &m.softPre
	for word := range strings.FieldsSeq(value) {
		switch word {
		case "pre:":
			list = &m.softPre
		case "post:":
			list = &m.softPost
		default:
			*list = append(*list, strings.ReplaceAll(word, "-", "_"))
		}
	}
}

// undefined lists the symbols that an object imports. debug/elf's own list
// costs several times as much, since it makes strings of all symbols.
func undefined(f *elf.File) ([]string, error) {
	table := f.SectionByType(elf.SHT_SYMTAB)
	if table == nil || int(table.Link) >= len(f.Sections) {
		return nil, fmt.Errorf("it has no symbol table")
	}
	symbols, err := table.Data()
	if err != nil {
		return nil, err
	}
	text, err := f.Sections[table.Link].Data()
	if err != nil {
		return nil, err
	}
	size, shndx := 24, 6
	if f.Class == elf.ELFCLASS32 {
		size, shndx = 16, 14
	}
	var out []string
	for ; len(symbols) >= size; symbols = symbols[size:] {
		name := f.ByteOrder.Uint32(symbols)
		if elf.SectionIndex(f.ByteOrder.Uint16(symbols[shndx:])) != elf.SHN_UNDEF || name == 0 || int(name) >= len(text) {
			continue
		}
		s, _, _ := bytes.Cut(text[name:], []byte{0})
		out = append(out, string(s))
	}
	return out, nil
}
