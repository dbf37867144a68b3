package spec

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/spec/problem"
)

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
	}
	return b.String()
}

// TestManyProblems holds that the first ones are told, in order, and the
// others counted.
func TestManyProblems(t *testing.T) {
	var b strings.Builder
	b.WriteString("[image.a]\npull = \"a\"\n")
	for i := range 30000 {
		fmt.Fprintf(&b, "[image.b%d]\n", 30000-i)
	}
	_, err := Load(t.Context(), repo(b.String()))
	var (
		first Problems
		many  *TooMany
	)
	if !errors.As(err, &first) || !errors.As(err, &many) || len(first) != problem.Max || many.More != 30000-problem.Max {
		t.Fatalf("%T with %d problems", err, len(first))
	}
	for i, p := range first {
		if p.Line != 3+i {
			t.Errorf("problem %d is of line %d", i, p.Line)
		}
	}
	if text := err.Error(); !strings.HasSuffix(text, "\nand 29900 more") || strings.Count(text, "\n") != problem.Max {
		t.Errorf("got %s", text)
	}
}

// TestLongNames holds that what is told is short, whatever names are like.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	_, err := Load(t.Context(), repo("[a.\""+long+"\"]\n"+many(1000, "k%d = 1\n")+"[image."+long+"]\n[image."+long+"y]\n[machine.m]\nimages = [\""+long+"z\"]\n"))
	if err == nil || len(err.Error()) > 200*1024 {
		t.Errorf("%d bytes", len(fmt.Sprint(err)))
	}
}

// large are fleets in which little is multiplied with little.
var large = map[string]string{
	"hooks by images":  "[defaults.machine]\nimages = [" + many(3000, `"i%d",`) + "]\nhooks = [" + many(3000, `"h%d",`) + "]\n" + many(3000, "[image.i%d]\npull = \"a\"\n[hook.h%d.hostname]\n[machine.m%d]\n"),
	"bases":            "[image.i]\npull = \"a\"\n[image.i0.build]\nfrom = \"image:i\"\nrun = [\"x\"]\n" + chain(20000) + many(1000, "[machine.m%d]\nimages = [\"i20000\"]\n"),
	"templates":        "[defaults.machine]\nimages = [\"a\"]\nhooks = [\"h\"]\n[image.a]\npull = \"a\"\n[machine.m]\n" + many(20000, "[[hook.h.file]]\npath = \"/f%d\"\ntemplate = \"{{ range 5000 }}{{ end }}\"\n"),
	"loop":             "[defaults.machine]\nimages = [\"a\"]\nhooks = [\"h\"]\n[image.a]\npull = \"a\"\n[[hook.h.file]]\npath = \"/f\"\ntemplate = \"{{ range 9000000000000 }}{{ end }}\"\n" + many(10000, "[machine.m%d]\n"),
	"content":          "[defaults.machine]\nimages = [\"a\"]\nhooks = [\"h\"]\n[image.a]\npull = \"a\"\n[[hook.h.file]]\npath = \"/f\"\ncontent = '" + strings.Repeat("x", 9<<20) + "'\n" + many(10000, "[machine.m%d]\n"),
	"vars":             "[defaults.machine]\nimages = [\"a\"]\nhooks = [\"h\"]\n[defaults.machine.vars]\n" + many(50000, "v%d = 1\n") + "[image.a]\npull = \"a\"\n[[hook.h.file]]\npath = \"/f\"\ntemplate = \"{{ .Vars.v1 }}\"\n" + many(10000, "[machine.m%d]\n"),
	"profiles' images": "[profile.p0]\n" + profiles(20000) + many(10000, "[machine.m%d]\nprofiles = [\"p20000\"]\n"),
	"signers":          "[image.a]\npull = \"a\"\n[profile.p0]\nboot.signed_by = \"m0\"\n" + profiles(20000) + many(10000, "[machine.m%d]\nimages = [\"a\"]\nprofiles = [\"p20000\"]\n"),
	"profiles":         "[image.a]\npull = \"a\"\n[profile.p0]\n" + profiles(20000) + many(10000, "[machine.m%d]\nimages = [\"a\"]\nprofiles = [\"p20000\"]\n"),
}

func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[image.i%d.build]\nfrom = \"image:i%d\"\nrun = [\"x\"]\n", i+1, i)
	}
	return b.String()
}

func profiles(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[profile.p%d]\nprofiles = [\"p%d\"]\n", i+1, i)
	}
	return b.String()
}

// TestWorkIsBounded holds that such fleets are refused with a word, soon, and
// that they end when they are told to.
func TestWorkIsBounded(t *testing.T) {
	for name, text := range large {
		t.Run(name, func(t *testing.T) {
			fsys := repo(text)
			fleet, err := Load(t.Context(), fsys)
			if err == nil {
				err = fleet.Check(t.Context(), fleet.Machines())
			}
			if err == nil || !strings.Contains(err.Error(), "too much") || len(err.Error()) > 100_000 {
				t.Errorf("got %.500s", fmt.Sprint(err))
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if fleet != nil {
				err = fleet.Check(ended, fleet.Machines())
			} else {
				_, err = Load(ended, fsys)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %.500s", fmt.Sprint(err))
			}
		})
	}
}

// TestLargeFleetIsChecked holds that the bounds leave room for ten thousand
// machines.
func TestLargeFleetIsChecked(t *testing.T) {
	fleet, err := Load(t.Context(), big(10000, 10000))
	if err == nil {
		err = fleet.Check(t.Context(), fleet.Machines())
	}
	if err != nil {
		t.Errorf("%.500s", err)
	}
}

// TestTemplatesAreDeterministic holds that what templates print is the same
// each time, whatever they print.
func TestTemplatesAreDeterministic(t *testing.T) {
	const text = `
[image.a]
pull = "a"
[machine.m]
images = ["a"]
hooks  = ["h"]
[machine.m.vars]
day = 1979-05-27
time = 07:32:00.5
local = 1979-05-27T07:32:00
exact = 1979-05-27T07:32:00+02:00
list = [1, 2.5, true, "x", [1979-05-27]]
tables = [{ b = 1, a = 2 }]
literal = "<no value>"
[[hook.h.file]]
path = "/a"
template = "{{ . }}|{{ .Machine }}|{{ .Image }}|{{ .Vars.literal }}|{{ printf \"%v %+v %#v %d\" .Vars .Vars .Vars .Vars }}"
`
	var first string
	for range 5 {
		fleet, err := Load(t.Context(), repo(text))
		if err != nil {
			t.Fatal(err)
		}
		w, err := fleet.Resolve(t.Context(), "m")
		if err != nil {
			t.Fatal(err)
		}
		got := string(w.Images[0].Hooks[0].Files[0].Content)
		if first == "" {
			first = got
		}
		if got != first || strings.Contains(got, "0x") {
			t.Errorf("got %s\nnot %s", got, first)
		}
	}
	const want = `map[Image:map[Name:a Tag:latest] Machine:map[ID: Name:m] Vars:map[day:1979-05-27 exact:1979-05-27T07:32:00+02:00 list:[1 2.5 true x [1979-05-27]] literal:<no value> local:1979-05-27T07:32:00 tables:[map[a:2 b:1]] time:07:32:00.5]]|map[ID: Name:m]|map[Name:a Tag:latest]|<no value>|`
	if !strings.HasPrefix(first, want) {
		t.Errorf("got %s", first)
	}
}

// TestFilesOfHooksAreBounded has more of them than memory is for.
func TestFilesOfHooksAreBounded(t *testing.T) {
	fsys := repo("[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\nhooks = [\"h\"]\n" + many(3, "[[hook.h.file]]\npath = \"/f%d\"\nsource = \"f%d\"\n"))
	content := make([]byte, 50<<20)
	for i := range 3 {
		fsys[fmt.Sprintf("f%d", i)] = &fstest.MapFile{Data: content}
	}
	fleet, err := Load(t.Context(), fsys)
	if err == nil {
		_, err = fleet.Resolve(t.Context(), "m")
	}
	if err == nil || !strings.Contains(err.Error(), "the files of hooks are larger than 128 MiB in all; put them into an image") {
		t.Errorf("got %.500s", fmt.Sprint(err))
	}
}
