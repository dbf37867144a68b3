package spec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/spec/bounds"
)

// Files that are parsed side by side have the problems that they have one after the other,
// and what all may have ends at the same one.
func TestReadAhead(t *testing.T) {
	const files = 3 * filesAhead
	name := func(i int) string { return fmt.Sprintf("m/%03d.toml", i) }
	fleet := func(of func(i int) string) fstest.MapFS {
		fsys := fstest.MapFS{RootFile: {Mode: 0o644, Data: []byte("include = [\"m/*.toml\"]\n[image.a]\npull = \"a\"\n")}}
		for i := range files {
			fsys[name(i)] = &fstest.MapFile{Mode: 0o644, Data: []byte(of(i))}
		}
		return fsys
	}
	good := func(i int) string { return fmt.Sprintf("[machine.m%d]\nimages = [\"a\"]\n", i) }
	for what, c := range map[string]struct {
		of   func(i int) string
		want []string
	}{
		"good":             {good, nil},
		"larger than most": {func(i int) string { return "#" + strings.Repeat("x", sizeAhead) + "\n" + good(i) }, nil},
		"some are wrong": {func(i int) string {
			switch i {
			case 5, filesAhead, files - 1:
				return good(i) + "wrong = " + strings.Repeat("]", i) + "\n"
			case filesAhead + 7:
				return good(i) + "nothing = 1\n"
			}
			return good(i)
		}, []string{name(5) + ":3", name(filesAhead) + ":3", name(filesAhead+7) + ":3", name(files-1) + ":3"}},
		"too many keys": {func(i int) string {
			return good(i) + strings.Repeat("\n", i) + "x = [" + strings.Repeat("1,", bounds.MaxKeys/50) + "]"
		},
			[]string{name(49) + ":52"}},
		"too many bytes": {func(i int) string { return "#" + strings.Repeat("x", bounds.MaxConfig/40) + "\n" + good(i) }, []string{name(39)}},
	} {
		_, err := Load(t.Context(), fleet(c.of))
		var got Problems
		if errors.As(err, &got); err != nil && got == nil {
			t.Fatal(err)
		}
		var at []string
		for _, p := range got {
			if where := fmt.Sprintf("%s:%d", p.File, p.Line); p.Line == 0 {
				at = append(at, p.File)
			} else if !strings.Contains(p.Key, "x") { // the key itself is unknown
				at = append(at, where)
			}
		}
		if fmt.Sprint(at) != fmt.Sprint(c.want) {
			t.Errorf("%s: problems at %v, want %v: %.300v", what, at, c.want, err)
		}
	}
}
