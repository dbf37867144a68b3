package spec

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	tomltest "github.com/toml-lang/toml-test"
)

// newer are what TOML 1.1 allows and 1.0 does not; the library takes them.
var newer = map[string]bool{
	"invalid/datetime/no-secs.toml": true, "invalid/local-datetime/no-secs.toml": true, "invalid/local-time/no-secs.toml": true,
	"invalid/inline-table/linebreak-1.toml": true, "invalid/inline-table/linebreak-2.toml": true,
	"invalid/inline-table/linebreak-3.toml": true, "invalid/inline-table/linebreak-4.toml": true,
	"invalid/inline-table/trailing-comma.toml": true, "invalid/string/basic-byte-escapes.toml": true,
}

// The language's own suite decides what is TOML, and not the library alone,
// which merges tables that may not be added to.
func TestTOMLSuite(t *testing.T) {
	suite := tomltest.EmbeddedTests()
	list, err := fs.ReadFile(suite, "files-toml-1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[bool]int{}
	for line := range bytes.Lines(list) {
		name := strings.TrimSpace(string(line))
		if !strings.HasSuffix(name, ".toml") {
			continue
		}
		text, err := fs.ReadFile(suite, name)
		if err != nil {
			t.Fatal(err)
		}
		l := newLoader(t.Context(), nil)
		file := parsed{name: name, text: string(text)}
		file.parse(l.keys)
		ok := l.accept(file)
		if want := strings.HasPrefix(name, "valid/") || newer[name]; ok != want {
			t.Errorf("%s: taken is %t: %v\n%s", name, ok, l.All(), text)
		}
		seen[ok]++
	}
	if seen[true] < 150 || seen[false] < 300 {
		t.Errorf("only %d cases were taken and %d refused", seen[true], seen[false])
	}
}
