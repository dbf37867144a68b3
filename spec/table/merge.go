package table

import (
	"maps"
	"reflect"
	"slices"
)

// Merge lays tables over each other, the last on top. It is the only merge
// there is:
//
//   - tables merge, key by key, at every depth (boot, vars);
//   - scalars and arrays replace what is below, and so does a table that may be
//     written as one word;
//   - kernel_args_append and hooks_append add to what is below, after a
//     kernel_args or hooks of the same table has replaced it.
func Merge[T any](layers ...*T) T {
	var out T
	for _, layer := range layers {
		if layer != nil {
			overlay(reflect.ValueOf(&out).Elem(), reflect.ValueOf(layer).Elem())
		}
	}
	return out
}

func overlay(under, over reflect.Value) {
	fields := FieldsOf(under.Type())
	for _, f := range fields {
		from, to := over.FieldByIndex(f.Index), under.FieldByIndex(f.Index)
		switch {
		case from.IsNil():
		case f.Appends != "":
			base := under.FieldByIndex(fields[slices.IndexFunc(fields, func(g Field) bool { return g.Key == f.Appends })].Index)
			base.Set(reflect.AppendSlice(base, from))
		case from.Kind() == reflect.Pointer && from.Type().Implements(wordedType):
			to.Set(from)
		case from.Kind() == reflect.Pointer && from.Elem().Kind() == reflect.Struct:
			// A fresh table, since the one below belongs to a declaration.
			merged := reflect.New(from.Type().Elem())
			if !to.IsNil() {
				overlay(merged.Elem(), to.Elem())
			}
			overlay(merged.Elem(), from.Elem())
			to.Set(merged)
		case from.Kind() == reflect.Map:
			below, _ := to.Interface().(map[string]any)
			to.Set(reflect.ValueOf(mergeVars(below, from.Interface().(map[string]any))))
		default:
			to.Set(from)
		}
	}
}

// mergeVars returns a new table; neither argument changes.
func mergeVars(under, over map[string]any) map[string]any {
	out := make(map[string]any, len(under)+len(over))
	maps.Copy(out, under)
	for key, value := range over {
		below, isTable := out[key].(map[string]any)
		if table, ok := value.(map[string]any); ok && isTable {
			value = mergeVars(below, table)
		}
		out[key] = value
	}
	return out
}
