package spec

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

// Schema returns the JSON Schema (draft 2020-12) of every config file, for
// editors. It is generated from the structs that the decoder fills, so it
// knows the same keys. What needs other files, such as references, and what
// no pattern can say, such as a schedule that never comes, only Load checks.
func Schema() []byte {
	s := schema{defs: map[string]any{}}
	root := s.table(reflect.TypeFor[document]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "gitboot config file"
	root["$defs"] = s.defs
	out, err := json.MarshalIndent(root, "", "  ") // sorts the keys of maps
	if err != nil {
		panic(err) // strings, numbers and maps always marshal
	}
	return append(out, '\n')
}

type schema struct{ defs map[string]any }

// ref returns a reference to a struct's definition, which it adds if need be.
func (s schema) ref(t reflect.Type) map[string]any {
	name := strings.TrimSuffix(t.Name(), "Decl")
	if t.PkgPath() == reflect.TypeFor[kind.Builtin]().PkgPath() {
		name = "builtin" + name
	}
	if _, ok := s.defs[name]; !ok {
		s.defs[name] = nil // a definition may lead back to itself
		s.defs[name] = s.table(t)
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

func (s schema) table(t reflect.Type) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, f := range fieldsOf(t) {
		p := s.value(f.typ, &f)
		p["description"] = f.doc
		if f.fallback != "" {
			p["default"] = fallback(f.fallback)
		}
		properties[f.key] = p
		if f.required {
			required = append(required, f.key)
		}
	}
	table := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		table["required"] = required
	}
	if keys := alternatives(t); keys != nil {
		var one []any
		for _, key := range keys {
			one = append(one, map[string]any{"required": []string{key}})
		}
		table["oneOf"] = one
	}
	return table
}

func (s schema) value(t reflect.Type, f *field) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return s.value(t.Elem(), f)
	case reflect.Struct:
		if t != reflect.TypeFor[kind.Owner]() { // which is written as a text
			return s.ref(t)
		}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.value(t.Elem(), f)}
	case reflect.Map:
		table := map[string]any{"type": "object"}
		if f.names != "" {
			table["propertyNames"] = checks[f.names].schema()
			table["additionalProperties"] = s.value(t.Elem(), f)
		}
		return table
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		out := checks[f.is].schema()
		out["type"] = "integer"
		return out
	}
	out := checks[f.is].schema()
	out["type"] = "string"
	return out
}

func (c check) schema() map[string]any {
	out := map[string]any{}
	if c.pattern != nil {
		out["pattern"] = c.pattern.String()
	}
	if c.enum != nil {
		out["enum"] = c.enum
	}
	if c.longest != 0 {
		out["maxLength"] = c.longest
	}
	if c.max != 0 {
		out["minimum"], out["maximum"] = c.min, c.max
	}
	return out
}

// fallback turns a default tag into a JSON value: what is no JSON is a string.
func fallback(tag string) any {
	var v any
	if json.Unmarshal([]byte(tag), &v) != nil {
		return tag
	}
	return v
}
