package version

import (
	"slices"
	"strings"
	"testing"
)

func TestHighest(t *testing.T) {
	tags := []string{
		"latest", "stable", "12", "12.4", "12.4.0", "12.4.1", "12.10.0", "12.11.0-rc.1", "13.0.0", "13.1.0-beta",
		"v1.2.0", "v1.10.0", "v2.0.0", "1.9.9", "sha256-" + strings.Repeat("a", 64) + ".sig", "not.a.version", "2024.01.05", "",
		"1.10.0+build.2", strings.Repeat("9", 200), "99999999999999999999999.0.0",
	}
	for constraint, want := range map[string]string{
		"~12":      "12.10.0",
		"~12.4":    "12.4.1",
		"~12.4-0":  "12.4.1",
		"~12-0":    "12.11.0-rc.1",
		"12.*":     "12.10.0",
		"v1.*":     "1.10.0+build.2",
		"^1.2":     "1.10.0+build.2",
		"=12.4":    "12.4.1", // any of 12.4, as Masterminds has it
		"=12.4.0":  "12.4.0",
		">=2 <13":  "12.10.0",
		">=2, <13": "12.10.0",
		"<1":       "",
		"*":        "2024.01.05",
		"~3":       "",
	} {
		c, err := Parse(constraint)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Highest(tags); got != want {
			t.Errorf("%s: %q, want %q", constraint, got, want)
		}
		slices.Reverse(tags)
		if got := c.Highest(tags); got != want {
			t.Errorf("%s: in another order %q, want %q", constraint, got, want)
		}
		if !IsConstraint(constraint) || c.String() != constraint {
			t.Errorf("%s is said to be a name", constraint)
		}
	}
	if c, _ := Parse("=12.0.0"); c.Highest([]string{"12", "12.0", "12.0.0", "v12"}) != "12.0.0" {
		t.Error("a name that moves is preferred to an exact one")
	}
}

func TestParse(t *testing.T) {
	for _, text := range []string{"~", "~x.y.z.w", "router ~12", ">=", "~12 &", strings.Repeat("~", 20), "*" + strings.Repeat(" || *", 100), ""} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, name := range []string{"stable", "v1.2.3", "12", "12.4.1-rc.1", "1.x"} {
		if IsConstraint(name) {
			t.Errorf("%s is said to be a constraint", name)
		}
	}
}
