package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/hooks/kind"
)

// repo makes a config repo of files in txtar's manner: "-- name --" lines.
func repo(text string) fstest.MapFS {
	fsys := fstest.MapFS{}
	name := RootFile
	for line := range strings.Lines(text) {
		if file, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok {
			name = strings.TrimSuffix(file, " --")
			fsys[name] = &fstest.MapFile{Mode: 0o644}
			continue
		}
		if fsys[name] == nil {
			fsys[name] = &fstest.MapFile{Mode: 0o644}
		}
		fsys[name].Data = append(fsys[name].Data, line...)
	}
	return fsys
}

func mustResolve(t *testing.T, text, machine string) *Wants {
	t.Helper()
	f, err := Load(t.Context(), repo(text))
	if err != nil {
		t.Fatalf("load:\n%v", err)
	}
	w, err := f.Resolve(t.Context(), machine)
	if err != nil {
		t.Fatalf("resolve:\n%v", err)
	}
	return w
}

func TestSketch(t *testing.T) {
	w := mustResolve(t, `
include = ["machines/*.toml", "images/**/image.toml"]
[image.desktop]
kernel_args = ["quiet"]
[image.desktop.build]
from           = "image:base"
containerfiles = ["fragments/kernel.containerfile"]
args           = { LANG = "en_US.UTF-8" }
schedule       = "0 3 * * *"
[image.base]
pull = "registry.lan/base:bookworm"
[hook.hostname]
images = ["*"]
order  = 10
[[hook.hostname.file]]
path     = "/etc/hostname"
template = "{{ .Vars.hostname }}\n"
-- fragments/kernel.containerfile --
FROM $GITBOOT_FROM
-- images/net/router/image.toml --
[image.router]
pull   = "ghcr.io/example/router:stable"
update = "*/30 * * * *"
-- machines/laptop.toml --
[profile.office]
vars = { printer = "p1", hostname = "?" }
[machine.laptop]
profiles    = ["office"]
images      = ["desktop", "router"]
hooks       = ["fstab", "hostname"]
vars        = { hostname = "laptop" }
kernel_args_append = ["console=ttyS0"]
`, "laptop")
	if got := w.Images[0].Build.Base.Pull.Ref; got != "registry.lan/base:bookworm" {
		t.Errorf("base is %q", got)
	}
	if got := w.Images[0].KernelArgs; !slices.Equal(got, []string{"quiet", "console=ttyS0"}) {
		t.Errorf("kernel arguments are %q", got)
	}
	want := Image{
		Name: "router", Tag: "stable", Keep: 3, KernelArgs: []string{"console=ttyS0"},
		Pull: &Pull{Ref: "ghcr.io/example/router:stable", Update: "*/30 * * * *"},
		Hooks: []kind.Hook{
			{Name: "fstab", Builtin: &kind.Builtin{Fstab: &kind.Fstab{}}},
			{Name: "hostname", Files: []kind.File{{Path: "/etc/hostname", Mode: 0o644, Content: []byte("laptop\n")}}},
		},
	}
	if diff := cmp.Diff(want, w.Images[1]); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownMachine(t *testing.T) {
	f, err := Load(t.Context(), repo("[image.a]\npull = \"a:1\"\n[machine.laptop]\nimages = [\"a\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Resolve(t.Context(), "labtop")
	var unknown *UnknownMachineError
	if !errors.As(err, &unknown) || unknown.Name != "labtop" || len(unknown.Known) != 1 {
		t.Fatalf("got %#v", err)
	}
	const want = `the config repo has no machine "labtop" (did you mean "laptop"?); it has laptop`
	if err.Error() != want {
		t.Errorf("got %q", err)
	}
}

func TestInvalidTOMLOfAllFiles(t *testing.T) {
	_, err := Load(t.Context(), repo(`include = ["*.toml"]
[image.x
-- a.toml --
x = 
-- b.toml --
[machine.m]
images = ["a"]
keep = "many"
-- c.toml --
[machine.n]
images = ["a"]
[machine.n]
`))
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatal(err)
	}
	// The root's include cannot be known, so the others are not looked at.
	if len(ps) != 1 || ps[0].File != RootFile || ps[0].Line != 2 {
		t.Errorf("got %v", ps)
	}
}

func big(machines, perFile int) fstest.MapFS {
	fsys := fstest.MapFS{}
	var b strings.Builder
	b.WriteString("include = [\"m/*.toml\"]\n")
	for i := range 200 {
		fmt.Fprintf(&b, "[image.i%d]\npull = \"registry.lan/i%d:stable\"\nkernel_args = [\"quiet\"]\n", i, i)
	}
	b.WriteString("[profile.p]\nhooks = [\"fstab\", \"hostname\"]\n")
	fsys[RootFile] = &fstest.MapFile{Data: []byte(b.String())}
	for from := 0; from < machines; from += perFile {
		b.Reset()
		for i := range perFile {
			fmt.Fprintf(&b, "[machine.m%d]\nprofiles = [\"p\"]\nimages = [\"i%d\", \"i%d\"]\nvars = { hostname = \"m%d\" }\nkernel_args_append = [\"console=ttyS0\"]\n",
				from+i, i%200, (i+1)%200, from+i)
		}
		fsys[fmt.Sprintf("m/%d.toml", from)] = &fstest.MapFile{Data: []byte(b.String())}
	}
	return fsys
}

func BenchmarkLoad(b *testing.B) {
	for _, machines := range []int{1000, 10000} {
		for name, perFile := range map[string]int{"one file": machines, "a file each": 1} {
			b.Run(fmt.Sprintf("%d machines, %s", machines, name), func(b *testing.B) {
				fsys := big(machines, perFile)
				for b.Loop() {
					if _, err := Load(b.Context(), fsys); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	for _, machines := range []int{1000, 10000} {
		b.Run(fmt.Sprint(machines), func(b *testing.B) {
			f, err := Load(b.Context(), big(machines, machines))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := f.Resolve(b.Context(), "m7"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
