package recipe

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// BaseArg is the build argument that names the base.
const BaseArg = "GITBOOT_FROM"

// ownPrefix begins the arguments that are gitboot's.
const ownPrefix = "GITBOOT_"

// OwnFolder holds, in the context, what recipe and copy take from the repo.
const OwnFolder = ".gitboot"

// ScriptMount is where a recipe sees its folder. It is made for the step and
// taken away with it.
const ScriptMount = "/run/gitboot-recipe"

// A renderer writes one Containerfile. prev is the stage so far.
type renderer struct {
	*Prepared
	read     *reader
	out      bytes.Buffer
	prev     string
	left     leavings // by prev
	count    int      // stages written
	files    *collector
	args     map[string]string // known before the first FROM
	problems Problems
}

func (p *Prepared) render(read *reader) Problems {
	r := &renderer{
		Prepared: p, read: read, prev: "$" + BaseArg, left: leavings{user: p.BaseUser},
		files: newCollector(read), args: platformArgs(p.Platform),
	}
	if p.Scratch {
		r.prev = "scratch"
	}
	r.loadScript()
	for i, f := range r.load() {
		r.fragment(f, i+1)
	}
	r.local()
	r.last()
	p.Files, p.User = r.files.sorted(), r.left.user
	p.parts = append(p.parts, r.files.parts()...)
	p.template = r.out.Bytes()
	return r.problems
}

// stage begins a stage of gitboot's own, as root.
func (r *renderer) stage(name string) {
	fmt.Fprintf(&r.out, "\nFROM %s AS %s\n", r.prev, name)
	r.prev = name
	r.count++
}

// last writes the fixes and the labels.
func (r *renderer) last() {
	if r.RootfsFixes {
		r.fixes()
	} else if r.count == 0 {
		r.stage("gitboot-base") // nothing but the base
	}
	for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
		value := r.Labels[key]
		if strings.ContainsAny(key+value, "\n\r") {
			r.problems.add(Problem{At: []string{"labels", key}, Value: value}, refuse("write it without newlines", "is not one line"))
			continue
		}
		fmt.Fprintf(&r.out, "LABEL %s=%s\n", quoteLabel(key), quoteLabel(value))
		r.parts = append(r.parts, hashPart("label "+key, []byte(value)))
	}
}

func quoteLabel(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}
