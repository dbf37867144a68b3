package spec

import (
	"reflect"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/table"
)

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
	eachField(p, reflect.ValueOf(settings).Elem(), func(p position.Place, v, _ reflect.Value, f *table.Field) {
		if f.Lines != "" {
			for i := range v.Len() {
				l.file(p.Item(i), v.Index(i).String(), false)
			}
		}
		eachText(p, v, f, func(_ position.Place, s reflect.Value) { templates = templates || strings.Contains(s.String(), "{{") })
	})
	if !templates && l.Told() == wrong && !l.Reported(p) {
		for _, problem := range settings.Check() {
			l.AddBuiltin(p, problem, "")
		}
	}
}

// builtin resolves a hook's built-in, nil if it has none.
func (r *onImage) builtin(decl *hookDecl) *kind.Builtin {
	if decl.Builtin == (kind.Builtin{}) {
		return nil
	}
	b := deepCopy(reflect.ValueOf(decl.Builtin)).Interface().(kind.Builtin)
	name, settings, _ := b.One()
	p, wrong := decl.where.At(name), r.Told()
	eachField(p, reflect.ValueOf(settings).Elem(), func(p position.Place, value, owner reflect.Value, f *table.Field) {
		eachText(p, value, f, func(p position.Place, s reflect.Value) { r.renderText(p, s) })
		if f.Lines != "" {
			r.addLines(p, value, owner, f.Lines)
		}
	})
	if r.Told() > wrong {
		return &b
	}
	settings.Complete(kind.Machine{Name: r.name, ID: text(r.decl.MachineID)})
	for _, problem := range settings.Check() {
		r.AddBuiltin(p, problem, ", for machine "+r.name)
	}
	return &b
}

func (r *onImage) renderText(p position.Place, s reflect.Value) {
	template, problems := s.String(), r.Told()
	s.SetString(r.render(p, template))
	if template != "" && s.String() == "" && r.Told() == problems {
		r.Add(p, template, "comes out empty, for machine "+r.name, "leave the key out if that is meant")
	}
}

// addLines adds the lines of files to another field, as if they were declared.
func (r *resolver) addLines(p position.Place, files, settings reflect.Value, field string) {
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
func (r *resolver) lines(p position.Place, name string) (lines []string) {
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

// eachField visits the keys of a table of settings and of the tables in it.
func eachField(p position.Place, settings reflect.Value, visit func(p position.Place, value, settings reflect.Value, f *table.Field)) {
	for _, f := range table.FieldsOf(settings.Type()) {
		v, at := settings.FieldByIndex(f.Index), p.At(f.Key)
		visit(at, v, settings, &f)
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				eachField(at.Item(i), v.Index(i), visit)
			}
		}
	}
}

// eachText visits the templates of one key.
func eachText(p position.Place, v reflect.Value, f *table.Field, visit func(position.Place, reflect.Value)) {
	switch {
	case f.Is != "template":
	case v.Kind() == reflect.String:
		visit(p, v)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			visit(p.Item(i), v.Index(i))
		}
	}
}

// deepCopy copies what pointers and slices lead to. Nothing that is declared
// changes by being resolved.
func deepCopy(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(deepCopy(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		for i := range v.Len() {
			out.Index(i).Set(deepCopy(v.Index(i)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			out.Field(i).Set(deepCopy(v.Field(i)))
		}
	default:
		out.Set(v)
	}
	return out
}
