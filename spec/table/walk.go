package table

import (
	"reflect"

	"github.com/gitboot/gitboot/spec/position"
)

// EachField visits the keys of a table of settings and of the tables in it, with the table
// that each belongs to.
func EachField(p position.Place, settings reflect.Value, visit func(p position.Place, value, settings reflect.Value, f *Field)) {
	for _, f := range FieldsOf(settings.Type()) {
		v, at := settings.FieldByIndex(f.Index), p.At(f.Key)
		visit(at, v, settings, &f)
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				EachField(at.Item(i), v.Index(i), visit)
			}
		}
	}
}

// EachText visits the templates of one key.
func EachText(p position.Place, v reflect.Value, f *Field, visit func(position.Place, reflect.Value)) {
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

// Copy copies what pointers and slices lead to, too: nothing that is declared changes by
// being resolved.
func Copy(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(Copy(v.Elem()))
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		for i := range v.Len() {
			out.Index(i).Set(Copy(v.Index(i)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			out.Field(i).Set(Copy(v.Field(i)))
		}
	default:
		out.Set(v)
	}
	return out
}
