package packages

import (
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/tests/need"
)

func TestOrder(t *testing.T) {
	for system, versions := range map[System][]string{ // each is older than the next
		Dpkg:   {"1.0~~", "1.0~rc1", "1.0", "1.0-0.1", "1.0-1~bpo1", "1.0-1", "1.0-1+deb12u2", "1.0-1+deb12u10", "1.0a", "1.0+b", "1.0.1", "2-1-1", "10", "1:0.1"},
		RPM:    {"1.0~rc1-1", "1.0-1", "1.0-1.fc38", "1.0-2", "1.0^git1-1", "1.0a-1", "1.0.1-1", "1.10-1", "2:0-1"},
		Pacman: {"1.0a-1", "1.0b-1", "1.0rc1-1", "1.0-1", "1.0-2", "1.0.a-1", "1.0.1-1", "1.10-1", "1:0.1-1"},
		Apk:    {"0.9", "1.0_alpha", "1.0_alpha2", "1.0_rc1", "1.0", "1.0-r1", "1.0-r10", "1.0_git2", "1.0_p1", "1.0a", "1.0.01", "1.0.1", "1.2", "1.10", "20230101.120000"},
		Xbps:   {"1.0alpha1_1", "1.0beta_1", "1.0rc1_1", "1.0", "1.0_1", "1.0_10", "1.0.1_1", "1.0b", "1.0.3", "1.10_1", "2.0rc2", "2.0rc3", "999999999999999999999_1"},
	} {
		for i, a := range versions {
			for j, b := range versions {
				want := min(1, max(-1, i-j))
				if got := order(system, a, b); got != want {
					t.Errorf("%s: order of %s and %s is %d, not %d", system, a, b, got, want)
				}
			}
		}
	}
}

func TestOrderEqual(t *testing.T) {
	for _, test := range []struct {
		system System
		a, b   string
	}{
		{Dpkg, "1.0", "0:1.00"}, {RPM, "1.0-1", "01.0-1"}, {RPM, "1.0", "1.0-7"}, {Pacman, "1.0", "1.0-3"}, {Xbps, "21", "21_0"},
		{Apk, "1.0bc", "1.0"}, {Apk, "v1", "v2"}, // not versions: their order is not known
	} {
		if got := order(test.system, test.a, test.b); got != 0 {
			t.Errorf("%s: order of %s and %s is %d", test.system, test.a, test.b, got)
		}
	}
}

// dpkg itself says which of Debian's versions is older.
func TestOrderAsDpkg(t *testing.T) {
	need.Program(t, "dpkg")
	versions := []string{"1.0~~a", "1.0~", "1.0", "1.0-0", "1.0-a", "1.00-1", "1.0+1", "1.0.", "1.0a~", "0:1.0-1-1", "9:0"}
	for i, a := range versions {
		for _, b := range versions[:i] {
			want := 0
			for op, sign := range map[string]int{"lt": -1, "gt": 1} {
				if exec.Command("dpkg", "--compare-versions", a, op, b).Run() == nil {
					want = sign
				}
			}
			if got := order(Dpkg, a, b); got != want {
				t.Errorf("order of %s and %s is %d, dpkg says %d", a, b, got, want)
			}
		}
	}
}

func TestCompare(t *testing.T) {
	before := []Package{
		{Dpkg, "same", "1", "amd64"}, {Dpkg, "up", "1.9", "amd64"}, {Dpkg, "down", "2", "amd64"}, {Dpkg, "gone", "1", "all"},
		{Dpkg, "arch", "1", "all"}, {Apk, "odd", "v1", "x86_64"}, {Dpkg, "lib", "1", "amd64"}, {Dpkg, "lib", "1", "i386"},
		{RPM, "kernel", "1-1", "x86_64"}, {RPM, "kernel", "2-1", "x86_64"}, {Dpkg, "multi", "1", "amd64"},
	}
	after := []Package{
		{Dpkg, "same", "1", "amd64"}, {Dpkg, "up", "1.10", "all"}, {Dpkg, "down", "1", "amd64"}, {Dpkg, "new", "1", "all"},
		{Dpkg, "arch", "1", "amd64"}, {Apk, "odd", "v2", "x86_64"}, {Dpkg, "lib", "2", "amd64"}, {Dpkg, "lib", "1", "i386"},
		{RPM, "kernel", "2-1", "x86_64"}, {RPM, "kernel", "3-1", "x86_64"}, {Dpkg, "multi", "2", "amd64"}, {Dpkg, "multi", "2", "i386"},
	}
	want := []Change{
		{Upgraded, "lib:amd64", "1", "2"}, {Upgraded, "multi:amd64", "1", "2"}, {Upgraded, "up", "1.9", "1.10"},
		{Downgraded, "down", "2", "1"},
		{Changed, "arch", "1 (all)", "1 (amd64)"}, {Changed, "odd", "v1", "v2"},
		{Added, "kernel", "", "3-1"}, {Added, "multi:i386", "", "2"}, {Added, "new", "", "1"},
		{Removed, "gone", "1", ""}, {Removed, "kernel", "1-1", ""},
	}
	got := Compare(before, after)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := Compare(after, after); len(again) != 0 {
		t.Errorf("what did not change: %v", again)
	}
	s := Summarize(got)
	const text = "3 upgraded (lib:amd64 1 → 2, multi:amd64, up), 1 downgraded (down 2 → 1), " +
		"2 changed (arch 1 (all) → 1 (amd64), odd), 3 added (kernel 3-1, multi:i386, new), 2 removed (kernel 1-1, gone)"
	if s.String() != text || s.Count.String() != "3 upgraded, 1 downgraded, 2 changed, 3 added, 2 removed" {
		t.Errorf("%s\n%s", s, s.Count)
	}
	if s := Summarize(Compare(nil, after)); len(s.First) != shown || s.String() != "12 added (kernel 2-1, kernel, arch, …)" || Summarize(nil).String() != "none changed" {
		t.Error(s)
	}
}
