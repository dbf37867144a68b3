package build

import (
	"strings"
	"testing"
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
		all, err := parse("f", text)
		if err != nil {
			return
		}
		var b strings.Builder
		for _, i := range all {
			b.WriteString(i.text)
			i.args()
			i.sources()
			i.binds()
			for _, f := range i.flags() {
				if i.text[f.start:f.end] != f.text {
					t.Errorf("%q is not at %d of %q", f.text, f.start, i.text)
				}
			}
		}
		if want := strings.ReplaceAll(text, "\r\n", "\n"); b.String() != want {
			t.Errorf("%q came back as %q", want, b.String())
		}
		p, err := Prepare(Recipe{Name: "f", FS: repo(map[string]string{"f": text, "x": "x"}), Containerfiles: []string{"f"}})
		if err == nil && !strings.Contains(string(p.Containerfile), "FROM") {
			t.Errorf("%q renders to %q", text, p.Containerfile)
		}
	})
}
