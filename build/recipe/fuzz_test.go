package recipe

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/containerfile"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

// Whatever a fragment holds, its instructions are all of its text in order.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"FROM a\nRUN b \\\n  c\n", "# escape=\\\nARG A\n\nFROM $A AS b\nCOPY --from=b [\"x\", \"y\"]\n", "RUN <<EOF\nFROM x\nEOF\nRUN y",
		"RUN a \\\n# comment\n\n  b", "FROM", "\\", "RUN <<", "COPY <<A <<B /x\n1\nA\n2\nB\n",
		"ARG A=x\nFROM ${A:-b}:$A AS c\nRUN --mount=from=d:1,type=bind --x true\nFROM $GITBOOT_FROM\nCOPY \\\n #\n --from=e@f a b\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, _ := containerfile.Parse(text)
		var b strings.Builder
		for _, i := range all {
			b.WriteString(i.Text)
			i.Args()
			i.Sources()
			i.Binds()
			for _, f := range i.Flags() {
				if i.Text[f.Start:f.End] != f.Text {
					t.Errorf("%q is not at %d of %q", f.Text, f.Start, i.Text)
				}
			}
		}
		if want := strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff"); b.String() != want {
			t.Errorf("%q came back as %q", want, b.String())
		}
		r := Recipe{Name: "f", FS: recipetest.Repo(map[string]string{"f": text, "x": "x"}), Containerfiles: []string{"f"}}
		p, err := Prepare(r)
		if checked := NewChecker(r.FS).Check(r); (err == nil) != (len(checked) == 0) {
			t.Errorf("%q: prepared: %v; checked: %v", text, err, checked)
		}
		if err == nil && !strings.Contains(string(p.Containerfile), "FROM") {
			t.Errorf("%q renders to %q", text, p.Containerfile)
		}
	})
}
