package deployment

import (
	"slices"
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	for arg, want := range map[string]string{
		"quiet": "quiet", `a="b c"`: "a=b c", `"a=b c"`: "a=b c", "a=b c": "a=b c", `a=""`: "a=", "a==b": "a==b", `a=" b"`: "a= b",
	} {
		if got, err := Word(arg); err != nil || got != want {
			t.Errorf("%q became %q, %v; want %q", arg, got, err, want)
		}
	}
	for _, arg := range []string{"", `a"b`, `"`, `""`, `a=b"c"`, `it's`, `a\b`, " a", `" a"`, `a="b" c="d"`, "a\tb", "a\u0081b", "a\x7f", "a\xff"} {
		if got, err := Word(arg); err == nil {
			t.Errorf("%q became %q", arg, got)
		}
	}
}

func TestCheckArg(t *testing.T) {
	for _, arg := range []string{
		"quiet", `a="b c"`, `"a=b c"`, "a.b=c,d", "x=$HOME;{y}&z|#", "ü=✓", `x="à la"`, "panic=10", "init=/bin/sh", "gitbooted=1",
		"gitboot.wait=180", "gitboot.wait=0", "gitboot.wait=86400", "gitboot.shell=1", "gitboot.ram=0", `gitboot.wait="90"`,
	} {
		if err := CheckArg(arg); err != nil {
			t.Errorf("%q %v", arg, err)
		}
	}
	for _, arg := range []string{
		"", " ", "a b", "a ", "a\nb", "a\u0085b", `"`, `""`, `" x"`, `a="b`, `a="b c" d="e f"`, "a'b", "--", `"--"`, "x=à",
		"gitboot.stage=x", "gitboot.deployment=x", "gitboot.trying=1", "gitboot.machine=x", "gitboot.machine", "gitboot.entry=x", "gitboot.block=x", "gitboot.assemble=x", `"gitboot.deployment=x y"`, `gitboot.machine="x y"`,
		"gitboot.wait=3m", "gitboot.wait=", "gitboot.wait", "gitboot.wait=86401", "gitboot.shell=yes", "gitboot.ram", "gitboot.wiat=3", "gitboot.",
	} {
		if err := CheckArg(arg); err == nil {
			t.Errorf("%q is accepted", arg)
		}
	}
}

// What a config repo may declare leaves room for gitboot's own: any stage path that room
// is kept for, any machine's name; and LVM on an encrypted mirror where one is declared.
func TestCheckArgsLeavesRoom(t *testing.T) {
	machine, image := strings.Repeat("m", 64), strings.Repeat("_", 64)
	hash := strings.Repeat("f", hashLength)
	const uuid = "0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d"
	on := NewAssembly(Step{AssembleRAID, uuid, ""}, Step{AssembleLUKS, uuid, ""}, Step{AssembleLVM, hash[:32], hash[:32]})
	for first, assembly := range map[string]Assembly{`a="b c"`: "", ParamUnlock + "=tpm2,passphrase": on} {
		args := []string{first}
		for CheckArgs(machine, image, append(args, "xxxxx")) == nil {
			args = append(args, "xxxxx")
		}
		if len(args) < 100 {
			t.Fatalf("%s: there is room for %d arguments of five letters only", first, len(args))
		}
		own := Cmdline{
			Stage:      Location{Device: "UUID=" + uuid, Path: "/" + strings.Repeat("s", maxStagePath-1)},
			Assembly:   assembly,
			Deployment: hash, Machine: machine, Trying: true, Entry: "gitboot-" + strings.Repeat("_5f", 64) + "-" + hash[:16],
			Block: Location{Device: "UUID=" + uuid, Path: "/" + strings.Repeat("b", maxBlockPath-1)},
		}
		kernel := own.Stage.Path + "/" + Object{SHA256: hash}.Path()
		if _, err := Words(kernel, append(own.Args(), args...)); err != nil {
			t.Errorf("%s: %v", first, err)
		}
		if _, err := Words(kernel, append(append(own.Args(), args...), "xxxxx")); err == nil {
			t.Errorf("%s: room is left unused", first)
		}
		// An entry without graphics drivers has one more argument, and counts nothing.
		safe := Cmdline{Stage: own.Stage, Assembly: assembly, Deployment: hash, Machine: machine}
		if _, err := Words(kernel, slices.Concat(safe.Args(), []string{"nomodeset"}, args)); err != nil {
			t.Errorf("%s, without graphics drivers: %v", first, err)
		}
	}
}

func TestForeign(t *testing.T) {
	got := Foreign([]string{"quiet", `"gitboot.deployment=x"`, "gitboot.machine=y", "gitboot.entry=z", "gitboot.block=x", "gitboot.assemble=x", "gitboot.wait=3m", `gitboot.stage="z"`, `a="b c"`, ""})
	if want := `quiet|gitboot.wait=3m|a="b c"|`; strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
}

// FuzzCheckArg holds what the check is for: an accepted argument is one for
// the kernel as a boot loader passes it, and changes nothing of gitboot's.
func FuzzCheckArg(f *testing.F) {
	for _, arg := range []string{"quiet", `a="b c"`, `"--"`, "x=à", `"gitboot.machine=x"`} {
		f.Add(arg)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		if CheckArg(arg) != nil {
			return
		}
		word, err := Word(arg)
		if err != nil {
			t.Fatal(err)
		}
		passed := word
		if strings.Contains(word, " ") {
			passed = `"` + word + `"`
		}
		if got := Fields(passed); len(got) != 1 || got[0] != word {
			t.Fatalf("%q is passed as %q and read as %q", arg, passed, got)
		}
		want := cmdline()
		got, ignored, err := ParseCmdline(strings.Join(want.Args(), " ") + " " + passed)
		got.Wait, got.Shell, got.RAM = want.Wait, want.Shell, want.RAM
		if err != nil || len(ignored) > 0 || got != want {
			t.Fatalf("%q gives %+v, ignored %v, %v", arg, got, ignored, err)
		}
	})
}
