package recipe

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/build/containerfile"
)

// A fragment is one parsed Containerfile.
type fragment struct {
	name string
	body []containerfile.Instruction // from its first FROM on
}

// load reads the fragments. Arguments before a fragment's first FROM hold for
// all FROMs: they are written first.
func (r *renderer) load() (out []fragment) {
	if !r.Scratch {
		fmt.Fprintf(&r.out, "ARG %s\n", BaseArg)
	}
	known := map[string]string{}
	for n, name := range r.Containerfiles {
		text, all, faults, err := r.read.fragment(name)
		if err != nil {
			r.problems.add(Problem{At: []string{"containerfiles", strconv.Itoa(n)}, Value: name}, err)
			continue
		}
		r.parts = append(r.parts, hashPart(name, []byte(text)))
		for _, f := range faults {
			r.problems = append(r.problems, Problem{File: name, Line: f.Line, Message: f.Message, Hint: f.Hint})
		}
		first := slices.IndexFunc(all, func(i containerfile.Instruction) bool { return i.Keyword == "FROM" })
		if first < 0 {
			r.problems.add(Problem{File: name}, refuse(fmt.Sprintf("begin it with ARG %s and FROM $%s", BaseArg, BaseArg), "it has no FROM"))
			continue
		}
		for _, i := range all[:first] {
			r.problems.add(Problem{File: name, Line: i.Line}, r.globalArg(i, known))
		}
		if len(faults) == 0 { // else what follows would only repeat them
			out = append(out, fragment{name, all[first:]})
		}
	}
	return out
}

func (r *renderer) globalArg(i containerfile.Instruction, known map[string]string) error {
	if i.Keyword == "" {
		return nil
	}
	if i.Keyword != "ARG" {
		return refuse("move it below the FROM", "%s before the first FROM; only ARG may be there", i.Keyword)
	}
	for _, arg := range i.Args() {
		key, value, _ := strings.Cut(arg, "=")
		if key == BaseArg {
			continue
		}
		if before, ok := known[key]; ok && before != value {
			return refuse("give both the same", "argument %s is declared with another value in a fragment before", key)
		} else if !ok {
			known[key] = value
			fmt.Fprintf(&r.out, "ARG %s\n", arg)
			if err := r.declare(arg); err != nil {
				return err
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

var isBase = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\$(?:` + BaseArg + `|\{` + BaseArg + `(?::?-[^}]*)?\})$`)
})

// A stage is one of a fragment, by its name in what is rendered.
type stage struct {
	name   string
	onBase bool // what comes before the fragment is in it
	left   leavings
}

// fragment writes one fragment's stages. Its own stage names are prefixed, so
// that fragments cannot hide each other's.
func (r *renderer) fragment(f fragment, n int) {
	fmt.Fprintf(&r.out, "\n# %s\n", f.name)
	for len(f.body) > 0 && strings.TrimSpace(f.body[len(f.body)-1].Text) == "" {
		f.body = f.body[:len(f.body)-1]
	}
	stages := map[string]*stage{}
	var at *stage
	for _, i := range f.body {
		if r.read.spend(1+len(i.Text)/100) != nil {
			break
		}
		where := Problem{File: f.name, Line: i.Line}
		if i.Keyword == "FROM" {
			var err error
			at, err = r.from(i, n, stages)
			r.problems.add(where, err)
			continue
		}
		at.left.note(i)
		r.step(where, i, stages)
	}
	if at == nil {
		return
	}
	if !at.onBase {
		r.problems.add(Problem{File: f.name}, refuse(fmt.Sprintf("begin it FROM $%s", BaseArg),
			"its last stage does not begin FROM $%s, so what comes before it would be lost", BaseArg))
	}
	r.prev, r.left = at.name, at.left
}

// from begins a fragment's next stage.
func (r *renderer) from(i containerfile.Instruction, n int, stages map[string]*stage) (*stage, error) {
	from := i.From()
	index := 0
	for stages[strconv.Itoa(index)] != nil {
		index++
	}
	alias := strings.ToLower(cmp.Or(from.As, strconv.Itoa(index)))
	s := &stage{name: fmt.Sprintf("gitboot-%d-%s", n, alias)}
	image, err := from.Image, error(nil)
	var reset string
	if isBase().MatchString(image) {
		image, s.onBase = r.prev, true
		reset = r.left.reset()
		s.left = r.left.kept()
	} else if image, err = r.expand(image); err != nil {
		err = refuse(hintOf(err), "FROM %s", messageOf(err))
	} else if own := stages[strings.ToLower(image)]; own != nil {
		image, s.onBase, s.left = own.name, own.onBase, own.left
	} else if image != "scratch" {
		image, err = r.reference(image)
	}
	stages[alias], stages[strconv.Itoa(index)] = s, s
	r.count++
	fmt.Fprintf(&r.out, "FROM %s AS %s\n%s", strings.Join(append(from.Flags, image), " "), s.name, reset)
	return s, err
}

// step writes an instruction, its references to stages put right, and notes
// what it needs of the context.
func (r *renderer) step(where Problem, i containerfile.Instruction, stages map[string]*stage) {
	text, err := i.Text, error(nil)
	if i.Keyword == "COPY" || i.Keyword == "RUN" {
		text, err = r.stages(i, stages)
		r.problems.add(where, err)
	}
	r.take(where, i)
	r.out.WriteString(strings.TrimSuffix(text, "\n") + "\n")
}

// take notes what an instruction takes from the context. Engines do not look
// into what a RUN mounts: an argument before it names its content, so that
// another content is another step.
func (r *renderer) take(where Problem, i containerfile.Instruction) {
	switch i.Keyword {
	case "COPY", "ADD":
		sources, known := i.Sources()
		if !known {
			sources = []string{"."}
		}
		for _, source := range sources {
			r.problems.add(where, r.files.context(&r.Recipe, source))
			r.problems.add(where, r.files.ignored(&r.Recipe, source))
		}
	case "RUN":
		for _, source := range i.Binds() {
			r.problems.add(where, r.files.context(&r.Recipe, source))
			fmt.Fprintf(&r.out, "ARG GITBOOT_CONTEXT=%s\n", r.files.sum(strings.TrimPrefix(path.Clean("/"+source), "/")))
		}
	case "ONBUILD":
		r.problems.add(where, r.files.context(&r.Recipe, "."))
	}
}
