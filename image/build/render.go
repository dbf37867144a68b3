package build

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// BaseArg is the build argument that names the base.
const BaseArg = "GITBOOT_FROM"

// ownFolder holds, in the context, what recipe and copy take from the repo.
const ownFolder = ".gitboot"

// recipeMount is where a recipe sees its folder. It is made for the step and
// taken away with it.
const recipeMount = "/run/gitboot-recipe"

// A renderer writes one Containerfile. prev is the stage so far.
type renderer struct {
	*Prepared
	out   bytes.Buffer
	prev  string
	count int // stages written
	files *collector
	args  map[string]string // known before the first FROM
}

func (p *Prepared) render() ([]byte, error) {
	r := &renderer{Prepared: p, prev: "$" + BaseArg, files: newCollector(p.FS), args: platformArgs(p.Platform)}
	if p.Scratch {
		r.prev = "scratch"
	}
	fragments, err := r.load()
	if err != nil {
		return nil, err
	}
	for i, f := range fragments {
		if err := r.fragment(f, i+1); err != nil {
			return nil, err
		}
	}
	if err := r.local(); err != nil {
		return nil, err
	}
	if err := r.last(); err != nil {
		return nil, err
	}
	p.files = r.files.sorted()
	p.parts = append(p.parts, r.files.parts()...)
	return r.out.Bytes(), nil
}

// A fragment is one parsed Containerfile.
type fragment struct {
	name string
	body []instruction // from its first FROM on
}

// load reads the fragments. Arguments before a fragment's first FROM hold for
// all FROMs: they are written first.
func (r *renderer) load() ([]fragment, error) {
	if !r.Scratch {
		fmt.Fprintf(&r.out, "ARG %s\n", BaseArg)
	}
	known := map[string]string{}
	var out []fragment
	for _, name := range r.Containerfiles {
		data, err := fs.ReadFile(r.FS, name)
		if err != nil {
			return nil, fmt.Errorf("read containerfile: %w", err)
		}
		if strings.Contains(string(data), mark) {
			return nil, fmt.Errorf("%s: it holds a NUL; a Containerfile is text", name)
		}
		r.parts = append(r.parts, hashPart(name, data))
		all, err := parse(name, string(data))
		if err != nil {
			return nil, err
		}
		first := slices.IndexFunc(all, func(i instruction) bool { return i.keyword == "FROM" })
		if first < 0 {
			return nil, fmt.Errorf("%s: it has no FROM; begin it with ARG %s and FROM $%s", name, BaseArg, BaseArg)
		}
		for _, i := range all[:first] {
			if err := r.globalArg(name, i, known); err != nil {
				return nil, err
			}
		}
		out = append(out, fragment{name, all[first:]})
	}
	return out, nil
}

func (r *renderer) globalArg(name string, i instruction, known map[string]string) error {
	if i.keyword == "" {
		return nil
	}
	if i.keyword != "ARG" {
		return fmt.Errorf("%s:%d: %s before the first FROM; only ARG may be there", name, i.line, i.keyword)
	}
	for _, arg := range i.args() {
		key, value, _ := strings.Cut(arg, "=")
		if key == BaseArg {
			continue
		}
		if before, ok := known[key]; ok && before != value {
			return fmt.Errorf("%s:%d: argument %s is declared with another value in a fragment before; give both the same", name, i.line, key)
		} else if !ok {
			known[key] = value
			fmt.Fprintf(&r.out, "ARG %s\n", arg)
			if err := r.declare(arg); err != nil {
				return fmt.Errorf("%s:%d: %w", name, i.line, err)
			}
		}
	}
	return nil
}

// declare notes what an argument is before the first FROM: what the image's
// args say, else its default.
func (r *renderer) declare(arg string) error {
	key, value, given := strings.Cut(arg, "=")
	if own, ok := r.Args[key]; ok {
		r.args[key] = own
		return nil
	}
	if !given {
		return nil
	}
	value, err := r.expand(strings.Trim(value, `"'`))
	r.args[key] = value
	return err
}

var isBase = regexp.MustCompile(`^\$(?:` + BaseArg + `|\{` + BaseArg + `(?::?-[^}]*)?\})$`)

// fragment writes one fragment's stages. Its own stage names are prefixed, so
// that fragments cannot hide each other's.
func (r *renderer) fragment(f fragment, n int) error {
	fmt.Fprintf(&r.out, "\n# %s\n", f.name)
	for len(f.body) > 0 && strings.TrimSpace(f.body[len(f.body)-1].text) == "" {
		f.body = f.body[:len(f.body)-1]
	}
	names, onBase := map[string]string{}, map[string]bool{}
	last, n0 := "", r.count
	for _, i := range f.body {
		if i.keyword != "FROM" {
			if err := r.step(f.name, i, names); err != nil {
				return err
			}
			continue
		}
		from, err := parseFrom(i)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", f.name, i.line, err)
		}
		index := strconv.Itoa(r.count - n0)
		alias := strings.ToLower(cmp.Or(from.as, index))
		last = fmt.Sprintf("gitboot-%d-%s", n, alias)
		image := from.image
		if isBase.MatchString(image) {
			image, onBase[last] = r.prev, true
		} else if image, err = r.expand(image); err != nil {
			return fmt.Errorf("%s:%d: FROM %w", f.name, i.line, err)
		} else if own := names[strings.ToLower(image)]; own != "" {
			image, onBase[last] = own, onBase[own]
		} else if image != "scratch" {
			image = r.reference(image)
		}
		names[alias], names[index] = last, last
		r.count++
		fmt.Fprintf(&r.out, "FROM %s AS %s\n", strings.Join(append(from.flags, image), " "), last)
	}
	if !onBase[last] {
		return fmt.Errorf("%s: its last stage does not begin FROM $%s, so what comes before it would be lost", f.name, BaseArg)
	}
	r.prev = last
	return nil
}

// step writes an instruction, its references to stages put right, and notes
// what it needs of the context.
func (r *renderer) step(name string, i instruction, names map[string]string) error {
	text, err := i.text, error(nil)
	if i.keyword == "COPY" || i.keyword == "RUN" {
		text, err = r.stages(i, names)
	}
	if err = errors.Join(err, r.take(i)); err != nil {
		return fmt.Errorf("%s:%d: %w", name, i.line, err)
	}
	r.out.WriteString(strings.TrimSuffix(text, "\n") + "\n")
	return nil
}

// take notes what an instruction takes from the context. Engines do not look
// into what a RUN mounts: an argument before it names its content, so that
// another content is another step.
func (r *renderer) take(i instruction) (err error) {
	switch i.keyword {
	case "COPY", "ADD":
		sources, known := i.sources()
		if !known {
			sources = []string{"."}
		}
		for _, source := range sources {
			err = errors.Join(err, r.files.context(&r.Recipe, source))
		}
	case "RUN":
		for _, source := range i.binds() {
			err = errors.Join(err, r.files.context(&r.Recipe, source))
			fmt.Fprintf(&r.out, "ARG GITBOOT_CONTEXT=%s\n", r.files.sum(strings.TrimPrefix(path.Clean("/"+source), "/")))
		}
	case "ONBUILD":
		err = r.files.context(&r.Recipe, ".")
	}
	return err
}

func (r *renderer) stage(name string) {
	fmt.Fprintf(&r.out, "\nFROM %s AS %s\n", r.prev, name)
	r.prev = name
	r.count++
}

// last writes the fixes and the labels.
func (r *renderer) last() error {
	if r.RootfsFixes {
		r.fixes()
	} else if r.count == 0 {
		r.stage("gitboot-base") // nothing but the base
	}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		value := r.Labels[key]
		if strings.ContainsAny(key+value, "\n\r") {
			return fmt.Errorf("label %q: a label is one line", key)
		}
		fmt.Fprintf(&r.out, "LABEL %s=%s\n", quoteLabel(key), quoteLabel(value))
		r.parts = append(r.parts, hashPart("label "+key, []byte(value)))
	}
	return nil
}

func quoteLabel(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}
