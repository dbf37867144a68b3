package settings

import (
	"reflect"
	"testing"
)

// What a key is said to be is judged, and nothing is judged that no key is.
func TestEachKindIsJudged(t *testing.T) {
	said := map[string]bool{}
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		for f := range of.Fields() {
			if is := f.Tag.Get("is"); is != "" {
				said[is] = true
			}
			switch in := f.Type; in.Kind() {
			case reflect.Struct:
				walk(in)
			case reflect.Map:
				if in.Elem().Kind() == reflect.Struct {
					walk(in.Elem())
				}
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	judged := kinds()
	for is := range said {
		if judged[is] == nil {
			t.Errorf("nobody judges what is %q", is)
		}
	}
	for is := range judged {
		if !said[is] {
			t.Errorf("no key is %q", is)
		}
	}
}
