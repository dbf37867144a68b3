// Package modindex is the list of kernel modules that the initramfs carries,
// prepared when it is built so that process 1 neither parses depmod's files
// nor computes dependencies.
//
// The form is text, one thing a line, in this order:
//
//	gitboot-modules 1
//	d /lib/modules/6.1.0-56-amd64        the folder of all paths below
//	b ext4                               a built-in that needs no loading
//	m kernel/fs/jbd2/jbd2.ko - -         module 0: path, before, after
//	m kernel/fs/ext4/ext4.ko 0 -         module 1: needs module 0 first
//	a 4 virtio:d00000002v*               an alias of module 4
//
// "before" holds all that must be loaded first, in that order; "after" what
// is of use only once the module is there. Both are module numbers joined by
// commas, or "-".
package modindex

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

const header = "gitboot-modules 1"

// An Index lists modules by number.
type Index struct {
	Dir     string
	BuiltIn []string
	Modules []Module
	Aliases []Alias
}

// A Module is one file below Dir.
type Module struct {
	Path          string
	Before, After []int
}

// An Alias says which devices a module drives: a pattern over modaliases.
type Alias struct {
	Module  int
	Pattern string
}

// Name returns a module's name as the kernel knows it.
func Name(file string) string {
	base := path.Base(file)
	if i := strings.Index(base, ".ko"); i >= 0 {
		base = base[:i]
	}
	return strings.ReplaceAll(base, "-", "_")
}

// Encode writes the text form.
func (x *Index) Encode() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nd %s\n", header, x.Dir)
	for _, name := range x.BuiltIn {
		fmt.Fprintf(&b, "b %s\n", name)
	}
	for _, m := range x.Modules {
		fmt.Fprintf(&b, "m %s %s %s\n", m.Path, join(m.Before), join(m.After))
	}
	for _, a := range x.Aliases {
		fmt.Fprintf(&b, "a %d %s\n", a.Module, a.Pattern)
	}
	return []byte(b.String())
}

func join(list []int) string {
	if len(list) == 0 {
		return "-"
	}
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

// Parse reads the text form and checks every number and path.
func Parse(text string) (*Index, error) {
	x := new(Index)
	line, rest, _ := strings.Cut(text, "\n")
	if line != header {
		return nil, fmt.Errorf("module index begins with %.40q, not %q", line, header)
	}
	for n := 2; rest != ""; n++ {
		line, rest, _ = strings.Cut(rest, "\n")
		if err := x.line(line); err != nil {
			return nil, fmt.Errorf("module index, line %d: %w", n, err)
		}
	}
	return x, x.check()
}

func (x *Index) line(line string) error {
	kind, value, _ := strings.Cut(line, " ")
	switch kind {
	case "d":
		x.Dir = value
	case "b":
		x.BuiltIn = append(x.BuiltIn, value)
	case "m":
		return x.module(value)
	case "a":
		number, pattern, _ := strings.Cut(value, " ")
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n >= len(x.Modules) || pattern == "" {
			return fmt.Errorf("bad alias %.80q", value)
		}
		x.Aliases = append(x.Aliases, Alias{n, pattern})
	default:
		return fmt.Errorf("unknown kind %.40q", kind)
	}
	return nil
}

func (x *Index) module(value string) error {
	file, lists, _ := strings.Cut(value, " ")
	before, after, ok := strings.Cut(lists, " ")
	if !ok || file == "" || path.Clean("/"+file) != "/"+file {
		return fmt.Errorf("bad module %.80q", value)
	}
	m := Module{Path: file}
	var err error
	if m.Before, err = split(before); err != nil {
		return err
	}
	if m.After, err = split(after); err != nil {
		return err
	}
	x.Modules = append(x.Modules, m)
	return nil
}

func split(list string) ([]int, error) {
	if list == "-" {
		return nil, nil
	}
	var out []int
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("bad module number %.40q", word)
		}
		out = append(out, n)
	}
	return out, nil
}

func (x *Index) check() error {
	for _, m := range x.Modules {
		for _, list := range [][]int{m.Before, m.After} {
			for _, n := range list {
				if n < 0 || n >= len(x.Modules) {
					return fmt.Errorf("module index: %s refers to module %d of %d", m.Path, n, len(x.Modules))
				}
			}
		}
	}
	if !path.IsAbs(x.Dir) {
		return fmt.Errorf("module index names no folder")
	}
	return nil
}

// Has reports whether the kernel has a module built in.
func (x *Index) Has(builtin string) bool {
	for _, name := range x.BuiltIn {
		if name == builtin {
			return true
		}
	}
	return false
}

// Find returns a module's number by name, -1 if it isn't listed.
func (x *Index) Find(name string) int {
	for i := range x.Modules {
		if Name(x.Modules[i].Path) == name {
			return i
		}
	}
	return -1
}

// Match returns the modules for a device, in the index's order.
func (x *Index) Match(modalias string) []int {
	var found []int
	for _, a := range x.Aliases {
		if glob(a.Pattern, modalias) && (len(found) == 0 || found[len(found)-1] != a.Module) {
			found = append(found, a.Module)
		}
	}
	return found
}
