package plain

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// write writes s in pieces of n bytes.
func write(t *testing.T, s string, n int) string {
	t.Helper()
	var out strings.Builder
	w := NewWriter(&out)
	for rest := s; rest != ""; {
		piece := rest[:min(n, len(rest))]
		rest = rest[len(piece):]
		if got, err := w.Write([]byte(piece)); got != len(piece) || err != nil {
			t.Fatal(got, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWriter(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"a line\n\tand more\n":        "a line\n\tand more\n",
		"grün, 日本, \ufffd":            "grün, 日本, \ufffd",
		"\x1b[2Jx":                    `\u001b[2Jx`,
		"\u009b31mx":                  `\u009b31mx`,
		"old\rnew":                    `old\rnew`,
		"bell\a, del\x7f, nul\x00":    `bell\u0007, del\u007f, nul\u0000`,
		"\u202etxt.exe\u2066\u200b":   `\u202etxt.exe\u2066\u200b`,
		"tag \U000e0041":              `tag \udb40\udc41`,
		"bad \xff utf-8 \xe2\x82":     `bad \xff utf-8 \xe2\x82`,
		"line\u2028separator\u0085":   `line\u2028separator\u0085`,
		Control("[1m") + "bold":       "\x1b[1mbold",
		"\x1b" + Control("[1m"):       "\\u001b\x1b[1m",
		own[:5] + "[1m":               `\u001b` + own[1:5] + "[1m",
		"end\x1b":                     `end\u001b`,
		"\xe2" + Control("[0m") + "é": "\\xe2\x1b[0mé",
	} {
		for _, n := range []int{1, 2, 3, 1000} {
			if got := write(t, in, n); got != want {
				t.Errorf("%q in pieces of %d = %q, not %q", in, n, got, want)
			}
		}
	}
}

func TestVisible(t *testing.T) {
	if got, want := Visible("a\nb\tc\x1b[0m\xff"+Control("[0m")), `a\nb\tc\u001b[0m\xff`+`\u001b`+own[1:]+"[0m"; got != want {
		t.Errorf("got %s, not %s", got, want)
	}
}

func TestRaw(t *testing.T) {
	var under strings.Builder
	if Raw(NewWriter(&under)) != &under || Raw(&under) != &under {
		t.Error("not what is written to")
	}
}

// What a Writer lets out can be seen, however it came in, and JSON means what
// it meant.
func FuzzWriter(f *testing.F) {
	for _, s := range []string{"a\x1b[31mb", "\u009b", "\xc2", "\r\n\t", "\U000e0041", own, own[:3] + "\x1b"} {
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = max(n, 1)
		got := write(t, s, n)
		if !utf8.ValidString(got) || !strings.Contains(s, own) && strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsGraphic(r) && r != '\n' && r != '\t' }) {
			t.Errorf("%q = %q", s, got)
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var before, after string
		if err := json.Unmarshal(data, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(write(t, string(data), n)), &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%q became %q: %v", before, after, err)
		}
	})
}
