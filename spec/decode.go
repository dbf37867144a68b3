package spec

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
)

// A decoder brings TOML values into the declaring structs and reports every
// value that doesn't fit, going on after each.
type decoder struct {
	problemList
	ctx context.Context // what is decoded once it has ended is not complete
}

// A field is one key of a declaring struct.
type field struct {
	index    []int
	key      string
	is       string
	names    string
	required bool
	appends  string
	fallback string
	lines    string
	doc      string
	typ      reflect.Type
}

// placed is a declaration that remembers where it was made.
type placed interface{ put(place) }

// ruled is a declaration with rules beyond those of its single values.
type ruled interface{ rules(d *problemList) }

// tableKeys is what tags say of a struct.
type tableKeys struct {
	fields []field
	oneOf  []string
}

// fieldsOf lists a struct's keys, those of embedded structs included.
func fieldsOf(t reflect.Type) []field { return keysOf(t).fields }

// alternatives returns the keys of which a struct must have exactly one.
func alternatives(t reflect.Type) []string { return keysOf(t).oneOf }

// keysKnown is a cache, as encoding/json has one: structs do not change.
var keysKnown sync.Map // reflect.Type to tableKeys

func keysOf(t reflect.Type) tableKeys {
	if known, ok := keysKnown.Load(t); ok {
		return known.(tableKeys)
	}
	keys := tableKeys{findFields(t), findAlternatives(t)}
	keysKnown.Store(t, keys)
	return keys
}

func findFields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous && sf.Tag.Get("key") == "" {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				all = append(all, f)
			}
			continue
		}
		if key := sf.Tag.Get("key"); key != "" {
			all = append(all, field{
				index: sf.Index, key: key, typ: sf.Type,
				is: sf.Tag.Get("is"), names: sf.Tag.Get("names"),
				required: sf.Tag.Get("required") != "",
				appends:  sf.Tag.Get("appends"), fallback: sf.Tag.Get("default"), doc: sf.Tag.Get("doc"),
				lines: sf.Tag.Get("lines"),
			})
		}
	}
	return all
}

func findAlternatives(t reflect.Type) []string {
	for i := range t.NumField() {
		sf := t.Field(i)
		if keys := sf.Tag.Get("oneof"); keys != "" {
			return strings.Split(keys, ",")
		}
		if sf.Anonymous {
			if keys := alternatives(sf.Type); keys != nil {
				return keys
			}
		}
	}
	return nil
}

func (d *decoder) table(p place, table map[string]any, into reflect.Value) {
	t := into.Type()
	fields := fieldsOf(t)
	known := 0
	for i := range fields {
		f := &fields[i]
		v, ok := table[f.key]
		if ok {
			known++
			d.value(p.at(f.key), v, into.FieldByIndex(f.index), f)
		} else if f.required {
			d.add(p, "", "has no "+f.key, fmt.Sprintf("add %s = …: %s", f.key, f.doc))
		}
	}
	if known < len(table) {
		d.unknown(p, table, fields)
	}
	d.exclusive(p, table, alternatives(t))
	if r, ok := into.Addr().Interface().(ruled); ok {
		r.rules(&d.problemList)
	}
}

func (d *decoder) unknown(p place, table map[string]any, fields []field) {
	keys := make([]string, len(fields))
	isKey := make(map[string]bool, len(fields))
	for i, f := range fields {
		keys[i] = f.key
		isKey[f.key] = true
	}
	known := "known here: " + strings.Join(keys, ", ")
	for _, key := range sortedKeys(table) {
		switch {
		case d.ctx.Err() != nil:
			return
		case isKey[key]:
		case d.told > 10*maxProblems: // to look for what each may have meant takes too long
			d.add(p.at(key), "", "is not a known key", known)
		default:
			d.add(p.at(key), "", "is not a known key"+nearest.Hint(key, keys), known)
		}
	}
}

// exclusive holds that exactly one of the keys is there.
func (d *decoder) exclusive(p place, table map[string]any, keys []string) {
	var there []string
	for _, key := range keys {
		if _, ok := table[key]; ok {
			there = append(there, key)
		}
	}
	last := len(keys) - 1
	switch {
	case last < 0 || len(there) == 1:
	case len(there) == 0:
		d.add(p, "", "has neither "+strings.Join(keys[:last], ", ")+" nor "+keys[last], "give one of them")
	default:
		d.add(p.at(there[1]), "", "is given beside "+there[0], "give only one of "+strings.Join(keys, ", "))
	}
}

func (d *decoder) value(p place, v any, into reflect.Value, f *field) {
	switch into.Kind() {
	case reflect.Pointer:
		elem := reflect.New(into.Type().Elem())
		d.value(p, v, elem.Elem(), f)
		into.Set(elem)
	case reflect.String:
		d.text(p, v, into, f)
	case reflect.Int:
		d.number(p, v, into, f)
	case reflect.Bool:
		if b, ok := v.(bool); ok {
			into.SetBool(b)
		} else {
			d.mistyped(p, v, "true or false")
		}
	case reflect.Slice:
		d.array(p, v, into, f)
	case reflect.Map:
		d.names(p, v, into, f)
	case reflect.Struct:
		if owner, ok := into.Addr().Interface().(*kind.Owner); ok {
			d.owner(p, v, owner, f)
			return
		}
		if s, ok := into.Addr().Interface().(placed); ok {
			s.put(p)
		}
		if table, ok := v.(map[string]any); ok {
			d.table(p, table, into)
		} else {
			d.mistyped(p, v, "a table")
		}
	}
}

func (d *decoder) text(p place, v any, into reflect.Value, f *field) {
	s, ok := v.(string)
	if !ok {
		d.mistyped(p, v, "a string")
		return
	}
	into.SetString(s)
	if f.is != "" {
		c := checks[f.is]
		if message, hint := c.text(s); message != "" {
			if c.secret {
				s = ""
			}
			d.add(p, s, message, hint)
		}
	}
}

func (d *decoder) owner(p place, v any, into *kind.Owner, f *field) {
	var text string
	d.text(p, v, reflect.ValueOf(&text).Elem(), f)
	into.UID, into.GID = parseOwner(&text)
}

func (d *decoder) number(p place, v any, into reflect.Value, f *field) {
	n, ok := v.(int64)
	if !ok {
		d.mistyped(p, v, "an integer")
		return
	}
	into.SetInt(n)
	if message, hint := checks[f.is].number(n); message != "" {
		d.add(p, fmt.Sprint(n), message, hint)
	}
}

func (d *decoder) array(p place, v any, into reflect.Value, f *field) {
	var items []any
	switch v := v.(type) {
	case []any:
		items = v
	case []map[string]any:
		for _, table := range v {
			items = append(items, table)
		}
	default:
		d.mistyped(p, v, "an array")
		return
	}
	out := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		if d.ctx.Err() != nil {
			return
		}
		d.value(p.item(i), item, out.Index(i), f)
	}
	into.Set(out)
}

// names decodes a table whose keys are the repo's own words.
func (d *decoder) names(p place, v any, into reflect.Value, f *field) {
	table, ok := v.(map[string]any)
	if !ok {
		d.mistyped(p, v, "a table")
		return
	}
	if f.names == "" { // vars: anything goes
		into.Set(reflect.ValueOf(table))
		return
	}
	out := reflect.MakeMapWithSize(into.Type(), len(table))
	for _, key := range sortedKeys(table) {
		if d.ctx.Err() != nil {
			return
		}
		item := table[key]
		if message, hint := checks[f.names].text(key); message != "" {
			d.add(p.at(key), key, message, hint)
		}
		elem := reflect.New(into.Type().Elem()).Elem()
		d.value(p.at(key), item, elem, f)
		out.SetMapIndex(reflect.ValueOf(key), elem)
	}
	into.Set(out)
}

func (d *decoder) mistyped(p place, v any, want string) {
	switch v := v.(type) {
	case string:
		d.add(p, v, "is a string, not "+want, "write "+want+" without quotes")
	case int64, float64, bool:
		hint := "write " + want
		if want == "a string" {
			hint = fmt.Sprintf(`write it in quotes: "%v"`, v)
		}
		d.add(p, "", fmt.Sprintf("is %v, not %s", v, want), hint)
	default:
		d.add(p, "", "is "+kindOf(v)+", not "+want, "write "+want)
	}
}

// kindOf names what TOML calls a value that no line can show.
func kindOf(v any) string {
	switch v.(type) {
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "an array"
	}
	return "a date or time"
}
