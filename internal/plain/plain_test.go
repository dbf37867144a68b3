package plain

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"plain\n":                           "plain",
		"tab\tand more \r\n":                "tab and more",
		"10%\r50%\r100%\r\n":                "100%",
		"\x1b[1;31mred\x1b[0m and \x1b[2Jx": "red and x",
		"\u009b31mred":                      "red",
		"\x1b]0;a title\x07text":            "text",
		"\x1b]8;;http://x\x1b\\link":        "link",
		"\x1b(Bset":                         "Bset",
		"bell\a, back\b, nul\x00":           "bell, back, nul",
		"\u202etxt.exe\u2066":               "txt.exe",
		"zero\u200bwidth":                   "zerowidth",
		"bad \xff utf-8":                    "bad ? utf-8",
		"grün, 日本":                          "grün, 日本",
		"\x1b[31":                           "",
		"\x1b":                              "",
	} {
		if got := Line(in); got != want {
			t.Errorf("Line(%q) = %q, not %q", in, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		in      string
		columns int
		want    string
	}{
		{"short", 5, "short"}, {"longer", 5, "long…"}, {"ab", 1, "…"}, {"ab", 0, ""}, {"", 0, ""},
		{"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"e\u0301e\u0301x", 3, "e\u0301e\u0301x"},
	} {
		if got := Cut(c.in, c.columns); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, not %q", c.in, c.columns, got, c.want)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{"a\x1b[31mb", "\u009b", "\x1b]x\x1b\\", "\xc2", "\r\n\t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Line(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Errorf("Line(%q) = %q", s, got)
		}
		if again := Line(got); again != got {
			t.Errorf("Line(%q) = %q, and of that %q", s, got, again)
		}
	})
}
