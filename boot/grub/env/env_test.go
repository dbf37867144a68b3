package env

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

func block(t *testing.T, pairs ...string) []byte {
	t.Helper()
	b := new(Block)
	for i := 0; i < len(pairs); i += 2 {
		if err := b.Set(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	data, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var hostile = []string{"a", `\`, "b", "two\nlines", "c", "", "d", `"'$x #=\\n`, "ünïcode", "✓", "e", "ends\\"}

func TestRoundTrip(t *testing.T) {
	data := block(t, hostile...)
	if len(data) != Size || !bytes.HasPrefix(data, []byte("# GRUB Environment Block\na=\\\\\n")) {
		t.Errorf("block is %q", data)
	}
	b, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(hostile); i += 2 {
		if got, ok := b.Get(hostile[i]); !ok || got != hostile[i+1] {
			t.Errorf("%s is %q, want %q", hostile[i], got, hostile[i+1])
		}
	}
	b.Unset("a")
	b.Unset("none")
	if err := b.Set("b", "new"); err != nil {
		t.Fatal(err)
	}
	if got := b.Names(); !slices.Equal(got, []string{"b", "c", "d", "ünïcode", "e"}) {
		t.Errorf("names are %q", got)
	}
	if _, ok := b.Get("a"); ok {
		t.Error("a is still set")
	}
}

// TestGrubEditenv has the real tool read what we write and write what we read.
func TestGrubEditenv(t *testing.T) {
	tool := need.Program(t, "grub-editenv")
	file := filepath.Join(t.TempDir(), "env")
	edit := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tool, append([]string{file}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("grub-editenv %q: %v: %s", args, err, out)
		}
		return string(out)
	}
	edit("create")
	edit("set", `a=x\y`, "b=1\n2", "c=3")
	edit("unset", "c")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := b.Get("a"); v != `x\y` {
		t.Errorf("a is %q", v)
	}
	if v, _ := b.Get("b"); v != "1\n2" {
		t.Errorf("b is %q", v)
	}
	again, err := b.Marshal()
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("grub-editenv's block changed in a round trip: %v\n%q\n%q", err, data, again)
	}

	if err := os.WriteFile(file, block(t, hostile...), 0o600); err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := 0; i < len(hostile); i += 2 {
		want.WriteString(hostile[i] + "=" + hostile[i+1] + "\n")
	}
	if got := edit("list"); got != want.String() {
		t.Errorf("grub-editenv lists\n%s\nwant\n%s", got, want.String())
	}
}

func TestRefused(t *testing.T) {
	good := block(t, "a", "b")
	for name, data := range map[string][]byte{
		"empty":        nil,
		"short":        good[:Size-1],
		"long":         append(slices.Clone(good), '#'),
		"zeros":        make([]byte, Size),
		"no signature": append([]byte("x"), good[:Size-1]...),
		"no equals":    []byte(signature + "abc\n" + strings.Repeat("#", Size-len(signature)-4)),
		"no newline":   []byte(signature + strings.Repeat("#", Size-len(signature)-3) + "a=b"),
		"zero byte":    bytes.Replace(good, []byte("a=b"), []byte("a=\x00"), 1),
	} {
		if _, err := Parse(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	b := new(Block)
	for _, name := range []string{"", "a=b", "#a", "a\nb", "a\x00", `a\`} {
		if b.Set(name, "x") == nil {
			t.Errorf("name %q is accepted", name)
		}
	}
}

func TestTooBig(t *testing.T) {
	b := new(Block)
	room := Size - len(signature) - len("a=\n")
	if err := b.Set("a", strings.Repeat("x", room)); err != nil {
		t.Fatal(err)
	}
	data, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(data); err != nil {
		t.Errorf("a full block: %v", err)
	}
	if err := b.Set("a", strings.Repeat("x", room-1)+`\`); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Marshal(); err == nil {
		t.Error("a block that is one byte too big is written")
	}
}

func FuzzParse(f *testing.F) {
	pad := func(s string) []byte { return []byte(s + strings.Repeat("#", max(0, Size-len(s)))) }
	for _, s := range []string{"", "a=b\n", "a=b\\\nc\n", "# x\na=1\na=2\n", "a=\\", "=\n", "\n", "a=b"} {
		f.Add(pad(signature + s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse(data)
		if err != nil {
			return
		}
		out, err := b.Marshal()
		if err != nil {
			t.Fatalf("parsed but does not fit: %v", err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("written but not read: %v: %q", err, out)
		}
		if !slices.Equal(again.vars, b.vars) || again.comments != b.comments {
			t.Errorf("%q became %q", b, again)
		}
	})
}
