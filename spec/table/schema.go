package table

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

// Schema returns the JSON Schema (draft 2020-12) of a document, for editors. It is generated from the structs that the decoder fills, so it
// knows the same keys. What needs other files, such as references, and what
// no pattern can say, such as a schedule that never comes, only Load checks.
func Schema(document reflect.Type) []byte {
	s := schema{defs: map[string]any{}}
	root := s.table(document)
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
	for _, f := range FieldsOf(t) {
		p := s.value(f.Type, &f)
		p["description"] = f.Doc
		if f.Fallback != "" {
			p["default"] = fallback(f.Fallback)
		}
		properties[f.Key] = p
		if f.Required {
			required = append(required, f.Key)
		}
	}
	table := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		table["required"] = required
	}
	if keys := Alternatives(t); keys != nil {
		var one []any
		for _, key := range keys {
			one = append(one, map[string]any{"required": []string{key}})
		}
		table["oneOf"] = one
	}
	return table
}

func (s schema) value(t reflect.Type, f *Field) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return s.value(t.Elem(), f)
	case reflect.Struct:
		switch {
		case reflect.PointerTo(t).Implements(wordedType):
			return map[string]any{"anyOf": []any{s.text(f), s.ref(t)}}
		case t != reflect.TypeFor[kind.Owner](): // which is written as a text
			return s.ref(t)
		}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.value(t.Elem(), f)}
	case reflect.Map:
		table := map[string]any{"type": "object"}
		if f.Names != "" {
			table["propertyNames"] = checks[f.Names].schema()
			table["additionalProperties"] = s.value(t.Elem(), f)
		}
		return table
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		out := checks[f.Is].schema()
		out["type"] = "integer"
		return out
	}
	return s.text(f)
}

func (s schema) text(f *Field) map[string]any {
	out := checks[f.Is].schema()
	out["type"] = "string"
	return out
}

func (c Check) schema() map[string]any {
	out := map[string]any{}
	if c.pattern != nil {
		out["pattern"] = c.pattern.String()
	}
	if c.Enum != nil {
		out["enum"] = c.Enum
	}
	if c.longest != 0 {
		out["maxLength"] = c.longest
	}
	if c.Max != 0 {
		out["minimum"], out["maximum"] = c.Min, c.Max
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
