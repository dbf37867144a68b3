package deployment

import (
	"slices"
	"strings"
	"testing"
)

const (
	someUUID = "0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d"
	someLVM  = "pfYtkfe5f8yQDdB1PfXgzpCMM0OzR2BI"
)

func TestAssembly(t *testing.T) {
	steps := []Step{{AssembleRAID, someUUID, ""}, {AssembleLUKS, someUUID, ""}, {AssembleLVM, someLVM, someLVM}}
	a := NewAssembly(steps...)
	if want := "raid:" + someUUID + ",luks:" + someUUID + ",lvm:" + someLVM + "/" + someLVM; string(a) != want {
		t.Errorf("it is %s, want %s", a, want)
	}
	got, err := ParseAssembly(string(a))
	if err != nil || got != a || !slices.Equal(got.Steps(), steps) {
		t.Errorf("%s, %v", got, err)
	}
	if kinds := (a + "," + a).Kinds(); !slices.Equal(kinds, []string{AssembleLUKS, AssembleLVM, AssembleRAID}) {
		t.Errorf("it is of the kinds %q", kinds)
	}
	if Assembly("").Steps() != nil || Assembly("").Kinds() != nil {
		t.Error("nothing has steps")
	}
	for _, bad := range []string{
		"", ",", "raid", "raid:", "raid:" + strings.ToUpper(someUUID), "raid:" + someUUID + ",", "raid:" + someUUID + "/" + someLVM, "dmraid:" + someUUID,
		"raid:" + someUUID[1:] + "0-", "lvm:" + someLVM, "lvm:" + someLVM + "/" + someLVM[1:], "lvm:" + someLVM + "/" + someLVM[1:] + "_", "lvm:vg/lv",
		strings.Repeat("raid:"+someUUID+",", maxSteps) + "raid:" + someUUID,
	} {
		if a, err := ParseAssembly(bad); err == nil {
			t.Errorf("%q is taken for %q", bad, a)
		}
	}
}

// FuzzAssembly holds that what is accepted is one word of a command line, and says
// what it was made of.
func FuzzAssembly(f *testing.F) {
	f.Add("raid:" + someUUID + ",lvm:" + someLVM + "/" + someLVM)
	f.Add("luks:" + someUUID)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAssembly(text)
		if err != nil {
			return
		}
		if NewAssembly(a.Steps()...) != a {
			t.Fatalf("%q has %v", a, a.Steps())
		}
		want := cmdline()
		want.Assembly = a
		got, ignored, err := ParseCmdline(strings.Join(want.Args(), " "))
		if err != nil || len(ignored) > 0 || got != want {
			t.Fatalf("%+v, ignored %v, %v", got, ignored, err)
		}
	})
}
