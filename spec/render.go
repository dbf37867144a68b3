package spec

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/gitboot/gitboot/internal/nearest"
)

// A view is what templates see.
type view struct {
	Machine struct{ Name, ID string }
	Image   struct{ Name, Tag string }
	Vars    map[string]any

	image Image
}

func (r *resolver) view(image Image) view {
	v := view{Vars: r.merged.Vars, image: image}
	v.Machine.Name, v.Machine.ID = r.name, text(r.decl.MachineID)
	v.Image.Name, v.Image.Tag = image.Name, image.Tag
	return v
}

// body returns the content of a file or script.
func (r *resolver) body(p place, b *bodyDecl, v view) []byte {
	switch {
	case b.Content != nil:
		return []byte(*b.Content)
	case b.Template != nil:
		return []byte(r.render(p.at("template"), *b.Template, v))
	case b.TemplateSource != nil:
		at := p.at("template_source")
		return []byte(r.render(at, string(r.read(at, *b.TemplateSource)), v))
	}
	return r.read(p.at("source"), text(b.Source))
}

func (r *resolver) read(p place, name string) []byte {
	content, err := readFile(r.fsys, path.Clean(name), maxFile)
	if err != nil {
		r.add(p, name, "cannot be read: "+reason(err), "add it to the repo")
	}
	return content
}

// render executes a template.
func (r *resolver) render(p place, s string, v view) string {
	if !strings.Contains(s, "{{") {
		return s
	}
	t, err := parseTemplate(s)
	if err != nil {
		r.add(p, s, "is not a valid template: "+err.Error(), checks["template"].remedy)
		return ""
	}
	var out limitedText
	if err := t.Execute(&out, v); err != nil {
		message, hint := r.explain(err)
		r.add(p, s, message, hint)
		return ""
	}
	// text/template prints this for a missing value that missingkey=error
	// doesn't see, as in index .Vars "x".
	if strings.Contains(out.String(), "<no value>") {
		r.add(p, s, "prints a variable that machine "+r.name+" has not", "set it in the machine's vars, or in a profile's")
	}
	return out.String()
}

var (
	templateNoise = regexp.MustCompile(`^template: t:(\d+)(?::\d+)?: executing "[^"]*" at `)
	missingVar    = regexp.MustCompile(`map has no entry for key "([^"]*)"`)
)

// explain turns a template's failure into a message and a remedy.
func (r *resolver) explain(err error) (message, hint string) {
	line := ""
	if m := templateNoise.FindStringSubmatch(err.Error()); m != nil && m[1] != "1" {
		line = ", in its line " + m[1]
	}
	what := templateNoise.ReplaceAllString(err.Error(), "")
	message = fmt.Sprintf("cannot be rendered for machine %s%s: %s", r.name, line, what)
	hint = "templates see .Machine.Name, .Machine.ID, .Image.Name, .Image.Tag and .Vars"
	if m := missingVar.FindStringSubmatch(err.Error()); m != nil {
		hint = fmt.Sprintf("set %s in the machine's vars, or in a profile's%s", m[1], nearest.Hint(m[1], sortedKeys(r.merged.Vars)))
	}
	return message, hint
}

// limitedText keeps a template that prints without end from taking all memory.
type limitedText struct{ strings.Builder }

func (t *limitedText) Write(b []byte) (int, error) {
	if t.Len()+len(b) > maxFile {
		return 0, errors.New("it prints too much")
	}
	return t.Builder.Write(b)
}
