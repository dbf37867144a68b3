package table

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"
)

// within reports whether a text is a part of another in memory.
func within(part, of string) bool {
	at, from := uintptr(unsafe.Pointer(unsafe.StringData(part))), uintptr(unsafe.Pointer(unsafe.StringData(of)))
	return at >= from && at < from+uintptr(len(of))
}

func TestWordsAreApart(t *testing.T) {
	document := "name value name value " + strings.Repeat("x", maxWord+1)
	var w words
	in := map[string]any{
		document[:4]: document[5:10],
		"in":         []any{document[:4], map[string]any{document[:4]: document[5:10]}, 1},
		"tables":     []map[string]any{{document[:4]: document[5:10]}},
	}
	out := w.table(in)
	if got := fmt.Sprint(out); got != fmt.Sprint(map[string]any{"name": "value", "in": []any{"name", map[string]any{"name": "value"}, 1}, "tables": []map[string]any{{"name": "value"}}}) {
		t.Errorf("it became %s", got)
	}
	var look func(any)
	look = func(v any) {
		switch v := v.(type) {
		case string:
			if within(v, document) {
				t.Errorf("%q keeps its document", v)
			}
		case map[string]any:
			for key, value := range v {
				look(key)
				look(value)
			}
		case []any:
			for _, value := range v {
				look(value)
			}
		case []map[string]any:
			for _, value := range v {
				look(value)
			}
		}
	}
	look(out)
	if a, b := w.own(document[:4]), w.own(document[11:15]); unsafe.StringData(a) != unsafe.StringData(b) {
		t.Error("equal texts are there twice")
	}
	if long := document[22:]; !within(w.own(long), document) {
		t.Error("a long text was copied")
	}
}

// TestWordsAreFew holds that texts that are all different are not all remembered.
func TestWordsAreFew(t *testing.T) {
	var w words
	for i := range 3 * maxWords {
		if text := fmt.Sprint(i); w.own(text) != text {
			t.Fatalf("%s became another", text)
		}
	}
	if len(w.known) > maxWords {
		t.Errorf("%d are known", len(w.known))
	}
}
