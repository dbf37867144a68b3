package deployment

import (
	"slices"
	"testing"
)

// What is to be given up is read as it was written, and whatever else is there leads
// nowhere; an empty line is not all of it.
func TestReset(t *testing.T) {
	for text, want := range map[string][]string{
		string(FormatReset([]string{"/", "/etc/a b"})): {"/", "/etc/a b"},
		"":                              nil,
		"\n\n/etc\n":                    {"/etc"},
		"../../etc/../var\n/a/../../b/": {"/var", "/b"},
	} {
		if got := ParseReset([]byte(text)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
