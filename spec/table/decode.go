// Package table is the form of config files: structs whose tags say which keys a
// table has and what each value must be. The decoder, the merge and the JSON
// Schema are made from them.
package table

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/problem"
)

// A Decoder brings TOML values into the declaring structs and reports every
// value that doesn't fit, going on after each.
type Decoder struct {
	problem.List
	Ctx   context.Context // what is decoded once it has ended is not complete
	words words
}

// A Field is one key of a declaring struct.
type Field struct {
	Index    []int
	Key      string
	Is       string
	Names    string
	Required bool
	Appends  string
	Fallback string
	Lines    string
	Doc      string
	Type     reflect.Type
}

// placed is a declaration that remembers where it was made.
type placed interface{ Put(position.Place) }

// worded is a table that may be written as one word, which then says all. The
// key's check is that of the word.
type worded interface{ Word(string) }

var wordedType = reflect.TypeFor[worded]()

// ruled is a declaration with rules beyond those of its single values.
type ruled interface{ Rules(d *problem.List) }

// tableKeys is what tags say of a struct.
type tableKeys struct {
	fields []Field
	oneOf  []string
}

// FieldsOf lists a struct's keys, those of embedded structs included.
func FieldsOf(t reflect.Type) []Field { return keysOf(t).fields }

// Alternatives returns the keys of which a struct must have exactly one.
func Alternatives(t reflect.Type) []string { return keysOf(t).oneOf }

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

func findFields(t reflect.Type) []Field {
	var all []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous && sf.Tag.Get("key") == "" {
			for _, f := range FieldsOf(sf.Type) {
				f.Index = append([]int{i}, f.Index...)
				all = append(all, f)
			}
			continue
		}
		if key := sf.Tag.Get("key"); key != "" {
			all = append(all, Field{
				Index: sf.Index, Key: key, Type: sf.Type,
				Is: sf.Tag.Get("is"), Names: sf.Tag.Get("names"),
				Required: sf.Tag.Get("required") != "",
				Appends:  sf.Tag.Get("appends"), Fallback: sf.Tag.Get("default"), Doc: sf.Tag.Get("doc"),
				Lines: sf.Tag.Get("lines"),
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
			if keys := Alternatives(sf.Type); keys != nil {
				return keys
			}
		}
	}
	return nil
}

// Table decodes one table.
func (d *Decoder) Table(p position.Place, table map[string]any, into reflect.Value) {
	t := into.Type()
	fields := FieldsOf(t)
	known := 0
	for i := range fields {
		f := &fields[i]
		v, ok := table[f.Key]
		if ok {
			known++
			d.value(p.At(f.Key), v, into.FieldByIndex(f.Index), f)
		} else if f.Required {
			d.Add(p, "", "has no "+f.Key, fmt.Sprintf("add %s = …: %s", f.Key, f.Doc))
		}
	}
	if known < len(table) {
		d.unknown(p, table, fields)
	}
	d.exclusive(p, table, Alternatives(t))
	if r, ok := into.Addr().Interface().(ruled); ok {
		r.Rules(&d.List)
	}
}

func (d *Decoder) unknown(p position.Place, table map[string]any, fields []Field) {
	keys := make([]string, len(fields))
	isKey := make(map[string]bool, len(fields))
	for i, f := range fields {
		keys[i] = f.Key
		isKey[f.Key] = true
	}
	known := "known here: " + strings.Join(keys, ", ")
	for _, key := range slices.Sorted(maps.Keys(table)) {
		switch {
		case d.Ctx.Err() != nil:
			return
		case isKey[key]:
		case d.Told() > 10*problem.Max: // to look for what each may have meant takes too long
			d.Add(p.At(key), "", "is not a known key", known)
		default:
			d.Add(p.At(key), "", "is not a known key"+nearest.Hint(key, keys), known)
		}
	}
}

// exclusive holds that exactly one of the keys is there.
func (d *Decoder) exclusive(p position.Place, table map[string]any, keys []string) {
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
		d.Add(p, "", "has neither "+strings.Join(keys[:last], ", ")+" nor "+keys[last], "give one of them")
	default:
		d.Add(p.At(there[1]), "", "is given beside "+there[0], "give only one of "+strings.Join(keys, ", "))
	}
}

func (d *Decoder) value(p position.Place, v any, into reflect.Value, f *Field) {
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
			s.Put(p)
		}
		if table, ok := v.(map[string]any); ok {
			d.Table(p, table, into)
		} else if w, ok := into.Addr().Interface().(worded); ok {
			var word string
			d.text(p, v, reflect.ValueOf(&word).Elem(), f)
			w.Word(word)
		} else {
			d.mistyped(p, v, "a table")
		}
	}
}

func (d *Decoder) text(p position.Place, v any, into reflect.Value, f *Field) {
	s, ok := v.(string)
	if !ok {
		d.mistyped(p, v, "a string")
		return
	}
	into.SetString(d.words.own(s))
	if f.Is != "" {
		c := checks[f.Is]
		if message, hint := c.Text(s); message != "" {
			if c.secret {
				s = ""
			}
			d.Add(p, s, message, hint)
		}
	}
}

func (d *Decoder) owner(p position.Place, v any, into *kind.Owner, f *Field) {
	var text string
	d.text(p, v, reflect.ValueOf(&text).Elem(), f)
	into.UID, into.GID = ParseOwner(text)
}

func (d *Decoder) number(p position.Place, v any, into reflect.Value, f *Field) {
	n, ok := v.(int64)
	if !ok {
		d.mistyped(p, v, "an integer")
		return
	}
	into.SetInt(n)
	if message, hint := checks[f.Is].number(n); message != "" {
		d.Add(p, fmt.Sprint(n), message, hint)
	}
}

func (d *Decoder) array(p position.Place, v any, into reflect.Value, f *Field) {
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
		if d.Ctx.Err() != nil {
			return
		}
		d.value(p.Item(i), item, out.Index(i), f)
	}
	into.Set(out)
}

// names decodes a table whose keys are the repo's own words.
func (d *Decoder) names(p position.Place, v any, into reflect.Value, f *Field) {
	table, ok := v.(map[string]any)
	if !ok {
		d.mistyped(p, v, "a table")
		return
	}
	if f.Names == "" { // vars: anything goes
		into.Set(reflect.ValueOf(d.words.table(table)))
		return
	}
	out := reflect.MakeMapWithSize(into.Type(), len(table))
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if d.Ctx.Err() != nil {
			return
		}
		item := table[key]
		if message, hint := checks[f.Names].Text(key); message != "" {
			d.Add(p.At(key), key, message, hint)
		}
		elem := reflect.New(into.Type().Elem()).Elem()
		d.value(p.At(key), item, elem, f)
		out.SetMapIndex(reflect.ValueOf(d.words.own(key)), elem)
	}
	into.Set(out)
}

func (d *Decoder) mistyped(p position.Place, v any, want string) {
	switch v := v.(type) {
	case string:
		d.Add(p, v, "is a string, not "+want, "write "+want+" without quotes")
	case int64, float64, bool:
		hint := "write " + want
		if want == "a string" {
			hint = fmt.Sprintf(`write it in quotes: "%v"`, v)
		}
		d.Add(p, "", fmt.Sprintf("is %v, not %s", v, want), hint)
	default:
		d.Add(p, "", "is "+kindOf(v)+", not "+want, "write "+want)
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

// ParseOwner reads what the check "owner" lets through: "uid:gid".
func ParseOwner(s string) (uid, gid int) {
	u, g, _ := strings.Cut(s, ":")
	uid, _ = strconv.Atoi(u)
	gid, _ = strconv.Atoi(g)
	return uid, gid
}
