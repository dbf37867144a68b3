package spec

import (
	"reflect"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

// builtinFiles checks the repo's files that a built-in hook names, and its
// settings if no template is among them: what templates make of them is
// known for one machine only.
func (l *loader) builtinFiles(h *hookDecl) {
	name, settings, err := h.Builtin.One()
	if err != nil {
		return // the decoder has reported it
	}
	templates, wrong := false, l.told
	p := h.where.at(name)
	eachField(p, reflect.ValueOf(settings).Elem(), func(p place, v, _ reflect.Value, f *field) {
		if f.lines != "" {
			for i := range v.Len() {
				l.file(p.item(i), v.Index(i).String(), false)
			}
		}
		eachText(p, v, f, func(_ place, s reflect.Value) { templates = templates || strings.Contains(s.String(), "{{") })
	})
	if !templates && l.told == wrong && !l.reported(p) {
		for _, problem := range settings.Check() {
			l.addBuiltin(p, problem, "")
		}
	}
}

// reported says whether something below p was found wrong before.
func (l *problemList) reported(p place) bool {
	for _, problem := range l.all {
		if problem.File == p.file && strings.HasPrefix(problem.Key, p.key()) {
			return true
		}
	}
	return false
}

func (l *problemList) addBuiltin(p place, wrong kind.Problem, whose string) {
	for _, step := range wrong.At {
		switch step := step.(type) {
		case int:
			p = p.item(step)
		case string:
			p = p.at(step)
		}
	}
	l.add(p, wrong.Value, wrong.Message+whose, wrong.Hint)
}

// builtin resolves a hook's built-in, nil if it has none.
func (r *resolver) builtin(decl *hookDecl, v view) *kind.Builtin {
	if len(decl.Builtin.Set()) == 0 {
		return nil
	}
	b := deepCopy(reflect.ValueOf(decl.Builtin)).Interface().(kind.Builtin)
	name, settings, _ := b.One()
	p, wrong := decl.where.at(name), r.told
	eachField(p, reflect.ValueOf(settings).Elem(), func(p place, value, table reflect.Value, f *field) {
		eachText(p, value, f, func(p place, s reflect.Value) { r.renderText(p, s, v) })
		if f.lines != "" {
			r.addLines(p, value, table, f.lines)
		}
	})
	if r.told > wrong {
		return &b
	}
	settings.Complete(kind.Machine{Name: r.name, ID: text(r.decl.MachineID)})
	for _, problem := range settings.Check() {
		r.addBuiltin(p, problem, ", for machine "+r.name)
	}
	return &b
}

func (r *resolver) renderText(p place, s reflect.Value, v view) {
	template, problems := s.String(), r.told
	s.SetString(r.render(p, template, v))
	if template != "" && s.String() == "" && r.told == problems {
		r.add(p, template, "comes out empty, for machine "+r.name, "leave the key out if that is meant")
	}
}

// addLines adds the lines of files to another field, as if they were declared.
func (r *resolver) addLines(p place, files, table reflect.Value, field string) {
	into := table.FieldByName(field)
	declared, _ := table.Type().FieldByName(field)
	c := checks[declared.Tag.Get("is")]
	for i := range files.Len() {
		name := files.Index(i).String()
		for _, line := range r.lines(p.item(i), name) {
			if message, hint := c.text(line); message != "" {
				// The line is not shown: it may be a private key.
				r.add(p.item(i), name, "has a line that "+message, hint)
			}
			into.Set(reflect.Append(into, reflect.ValueOf(line)))
		}
	}
}

// lines reads a file with one value a line; comments and empty lines are left
// out.
func (r *resolver) lines(p place, name string) (lines []string) {
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
func eachField(p place, table reflect.Value, visit func(p place, value, table reflect.Value, f *field)) {
	for _, f := range fieldsOf(table.Type()) {
		v, at := table.FieldByIndex(f.index), p.at(f.key)
		visit(at, v, table, &f)
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				eachField(at.item(i), v.Index(i), visit)
			}
		}
	}
}

// eachText visits the templates of one key.
func eachText(p place, v reflect.Value, f *field, visit func(place, reflect.Value)) {
	switch {
	case f.is != "template":
	case v.Kind() == reflect.String:
		visit(p, v)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			visit(p.item(i), v.Index(i))
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
