package spec

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/spec/bounds"
)

// Machines that are checked side by side have the problems that each has alone.
func TestCheckSideBySide(t *testing.T) {
	var b strings.Builder
	b.WriteString("[image.a]\npull = \"a\"\n[hook.motd]\n[[hook.motd.file]]\npath = \"/etc/motd\"\ntemplate = \"{{ .Vars.motd }}\"\n")
	for i := range 4 * together {
		fmt.Fprintf(&b, "[machine.m%d]\nimages = [\"a\"]\nhooks = [\"motd\"]\n", i)
		if i%3 != 0 {
			fmt.Fprintf(&b, "vars = { motd = \"%d\" }\n", i)
		}
	}
	f, err := Load(t.Context(), repo(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	var want Problems
	for _, machine := range f.Machines() {
		var alone Problems
		if errors.As(f.Check(t.Context(), []string{machine}), &alone) {
			want = append(want, alone...)
		}
	}
	if len(want) != 43 {
		t.Fatalf("%d problems", len(want))
	}
	slices.SortFunc(want, func(a, b Problem) int { return strings.Compare(a.String(), b.String()) })
	var got Problems
	if !errors.As(f.Check(t.Context(), f.Machines()), &got) {
		t.Fatal("all machines together have no problem")
	}
	slices.SortFunc(got, func(a, b Problem) int { return strings.Compare(a.String(), b.String()) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What all machines may do together ends at the same machine each time, and little more
// is done.
func TestCheckEndsAtTheSameMachine(t *testing.T) {
	const enough = 7
	f, err := Load(t.Context(), repo("[image.a]\npull = \"a\"\n[hook.h]\n[[hook.h.file]]\npath = \"/x\"\ntemplate = \""+
		strings.Repeat("{{ eq .Vars.large .Vars.large }}", 7)+"\"\n"+
		"[defaults.machine]\nimages = [\"a\"]\nhooks = [\"h\"]\nvars = { large = \""+strings.Repeat("x", 1<<20)+"\" }\n"+many(4*together, "[machine.m%d]\n")))
	if err != nil {
		t.Fatal(err)
	}
	names := f.Machines()
	one := f.check(t.Context(), names[0], bounds.MaxWork, bounds.ErrWork).spent
	if n := bounds.MaxWorkInAll/one + 1; n != enough {
		t.Fatalf("machine %d is too much, each does %d", n, one)
	}
	var got Problems
	if err := f.Check(t.Context(), names); !errors.As(err, &got) || len(got) != 1 ||
		!strings.Contains(got[0].Message, "for machine "+names[enough-1]+": "+bounds.ErrWorkInAll.Error()) {
		t.Errorf("got %v, want machine %s", err, names[enough-1])
	}
	done := 0
	for _, c := range f.checked(t.Context(), names[:together], bounds.MaxWorkInAll) {
		if c.spent > 0 {
			done++
		}
	}
	if done < enough || done > enough+runtime.GOMAXPROCS(0) {
		t.Errorf("%d machines were resolved", done)
	}
}
