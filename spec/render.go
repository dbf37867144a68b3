package spec

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/render"
	"github.com/gitboot/gitboot/spec/table"
)

// A view is what templates see: plain values, so that they print the same
// wherever and whenever they are rendered.
type view struct {
	data  map[string]any
	image Image
}

func (r *resolver) view(image Image) view {
	if r.vars == nil {
		r.vars = r.plain(r.merged.Vars).(map[string]any)
	}
	return view{image: image, data: map[string]any{
		"Machine": map[string]any{"Name": r.name, "ID": text(r.decl.MachineID)},
		"Image":   map[string]any{"Name": image.Name, "Tag": image.Tag},
		"Vars":    r.vars,
	}}
}

// plain makes a copy of a variable that has only maps, slices, strings,
// numbers and booleans. Dates and times become text as TOML writes them.
func (r *resolver) plain(v any) any {
	if !r.spend(1) {
		return map[string]any{}
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = r.plain(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = r.plain(v[i])
		}
		return out
	case []map[string]any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = r.plain(v[i])
		}
		return out
	case time.Time:
		return dateText(v)
	}
	return v
}

// dateText writes a date or time as TOML does. The library says by the zone's
// name what was left out.
func dateText(t time.Time) string {
	layout, ok := map[string]string{
		"date-local": time.DateOnly, "time-local": "15:04:05.999999999", "datetime-local": "2006-01-02T15:04:05.999999999",
	}[t.Location().String()]
	if !ok {
		layout = time.RFC3339Nano
	}
	return t.Format(layout)
}

// content returns the content of a file, and the secrets that it lacks.
func (r *onImage) content(p position.Place, b *bodyDecl) ([]byte, []kind.Insert) {
	at, file, template := p.At("template"), "", text(b.Template)
	switch {
	case b.TemplateSource != nil:
		at, file = p.At("template_source"), path.Clean(*b.TemplateSource)
		template = string(r.read(at, *b.TemplateSource))
	case b.Template == nil:
		return r.body(p, b), nil
	}
	var secrets []render.Secret
	out := r.executed(at, file, template, func(spend func(int) error) (out string, err error) {
		out, secrets, err = r.templates.File(template, r.v.data, spend)
		return out, err
	})
	return []byte(out), r.inserts(at, secrets, false)
}

// body returns the content of a file or script.
func (r *onImage) body(p position.Place, b *bodyDecl) []byte {
	switch {
	case b.Content != nil:
		r.spend(len(*b.Content) / 512)
		return []byte(*b.Content)
	case b.Template != nil:
		return []byte(r.render(p.At("template"), *b.Template))
	case b.TemplateSource != nil:
		at := p.At("template_source")
		return []byte(r.renderFrom(at, path.Clean(*b.TemplateSource), string(r.read(at, *b.TemplateSource))))
	}
	return r.read(p.At("source"), text(b.Source))
}

// read returns the content of a file of the repo, which is read once for all
// that want it.
func (r *onImage) read(p position.Place, name string) []byte {
	file := r.files.Open(r.fsys, path.Clean(name))
	if file.Err != nil {
		r.Add(p, name, "cannot be read: "+bounds.Reason(file.Err), "add it to the repo")
	}
	return file.Content
}

// addLines adds the lines of files to another field, as if they were declared.
func (r *onImage) addLines(p position.Place, files, settings reflect.Value, field string) {
	into := settings.FieldByName(field)
	declared, _ := settings.Type().FieldByName(field)
	c := table.Of(declared.Tag.Get("is"))
	for i := range files.Len() {
		name := files.Index(i).String()
		for _, line := range r.lines(p.Item(i), name) {
			if message, hint := c.Text(line); message != "" {
				// The line is not shown: it may be a private key.
				r.Add(p.Item(i), name, "has a line that "+message, hint)
			}
			into.Set(reflect.Append(into, reflect.ValueOf(line)))
		}
	}
	if into.Len() > 0 {
		files.SetZero() // which says no more than the lines, and is in no JSON
	}
}

// lines reads a file with one value a line; comments and empty lines are left
// out.
func (r *onImage) lines(p position.Place, name string) (lines []string) {
	for line := range strings.Lines(string(r.read(p, name))) {
		if !r.spend(2 + len(line)/64) {
			return nil
		}
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// render executes a template.
func (r *onImage) render(p position.Place, s string) string {
	return r.renderFrom(p, "", s)
}

// renderFrom executes a template that lies in a file, or in the config itself
// if that is "".
func (r *onImage) renderFrom(p position.Place, file, s string) string {
	return r.executed(p, file, s, func(spend func(int) error) (string, error) { return r.templates.Text(s, r.v.data, spend) })
}

// executed returns what is made of a template, or reports why nothing is.
func (r *onImage) executed(p position.Place, file, s string, execute func(spend func(int) error) (string, error)) string {
	if !strings.Contains(s, "{{") {
		return s
	}
	out, err := execute(func(units int) error {
		if !r.Meter.Spend(units) {
			return r.Enough
		}
		return nil
	})
	if err == nil || r.Ctx.Err() != nil {
		return out
	}
	message, hint := r.explain(file, err)
	r.Add(p, s, message, hint)
	r.over = r.over || errors.Is(err, r.Enough)
	return ""
}

// explain turns a template's failure into a message and a remedy.
func (r *onImage) explain(file string, err error) (message, hint string) {
	message = "cannot be rendered for machine " + r.name
	at := (*render.Error)(nil)
	if !errors.As(err, &at) {
		return message + ": " + err.Error(), "see the limits in docs/config.md"
	}
	if file != "" {
		message += fmt.Sprintf(", at %s:%d", file, at.Line)
	} else if at.Line > 1 {
		message += fmt.Sprintf(", in its line %d", at.Line)
	}
	hint = "templates see .Machine.Name, .Machine.ID, .Image.Name, .Image.Tag and .Vars"
	switch {
	case at.Missing == "?":
		hint = "set it in the machine's vars, or in a profile's"
	case at.Missing != "" && strings.HasPrefix(at.What, "<."+at.Missing+">"):
		hint += ", and within a with or range what that is of"
	case at.Missing != "":
		hint = fmt.Sprintf("set %s in the machine's vars, or in a profile's%s", at.Missing, nearest.Hint(at.Missing, sortedKeys(r.merged.Vars)))
	}
	return message + ": " + at.What, hint
}
