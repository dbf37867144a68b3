package notice

import (
	"os"
	"path/filepath"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, dir, name, want string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && (want != "" || !os.IsNotExist(err)) {
		t.Fatal(err)
	}
	if string(text) != want {
		t.Errorf("%s holds %q, not %q", name, text, want)
	}
}

func needed(line string, names ...string) func() Reboot {
	return func() Reboot { return Reboot{Line: line, Packages: names} }
}

// What is needed is there for others to see, and goes when it is no longer so.
func TestPut(t *testing.T) {
	dir := t.TempDir()
	n := Notices{dir}
	must(t, n.Put("", nil))
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is there though nothing is said", left)
	}
	must(t, n.Put("d4", needed("desktop:4\x1b[31m boots next", "openssl", "linux-image", "openssl")))
	holds(t, dir, "reboot-required", "*** System restart required ***\ngitboot: desktop:4 boots next\n")
	holds(t, dir, "reboot-required.pkgs", "linux-image\nopenssl\n")
	holds(t, dir, "motd.d/gitboot", "gitboot: a reboot is needed: desktop:4 boots next\n")
	must(t, n.Put("d4", func() Reboot { t.Error("what is said already is asked for again"); return Reboot{} }))
	must(t, n.Put("d5", needed("desktop:5 boots next")))
	holds(t, dir, "reboot-required.pkgs", "")
	holds(t, dir, "motd.d/gitboot", "gitboot: a reboot is needed: desktop:5 boots next\n")
	must(t, n.Put("", nil))
	for _, name := range []string{"reboot-required", "reboot-required.pkgs", "motd.d/gitboot"} {
		holds(t, dir, name, "")
	}
}

// What another program has written stays as it is, whenever it did.
func TestOthersStay(t *testing.T) {
	dir := t.TempDir()
	n := Notices{dir}
	const others = "*** System restart required ***\n"
	must(t, os.WriteFile(filepath.Join(dir, "reboot-required"), []byte(others), 0o644))
	must(t, n.Put("d4", needed("desktop:4 boots next", "openssl")))
	holds(t, dir, "reboot-required", others)
	must(t, os.WriteFile(filepath.Join(dir, "reboot-required.pkgs"), []byte("openssl\nlibc6\n"), 0o644))
	must(t, n.Put("", nil))
	holds(t, dir, "reboot-required", others)
	holds(t, dir, "reboot-required.pkgs", "openssl\nlibc6\n")
	holds(t, dir, "motd.d/gitboot", "")
}

// What runs and what boots next is told once, whoever asks and however often.
func TestTold(t *testing.T) {
	n := Notices{t.TempDir()}
	for _, c := range []struct {
		booted, next     string
		newBoot, newNext bool
	}{
		{"d3", "", true, false}, {"d3", "", false, false}, {"d3", "d4", false, true}, {"d3", "d4", false, false},
		{"d3", "", false, true}, {"d4", "", true, false},
	} {
		must(t, n.Put(c.next, needed("x")))
		newBoot, newNext, err := n.Told(c.booted, c.next)
		if err != nil || newBoot != c.newBoot || newNext != c.newNext {
			t.Errorf("%+v: %t %t %v", c, newBoot, newNext, err)
		}
	}
}

// Where there is no folder nothing is written, and a damaged record says nothing.
func TestNoRecord(t *testing.T) {
	must(t, Notices{}.Put("d4", needed("x")))
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, recordFile), []byte("{"), 0o644))
	if newBoot, _, err := (Notices{dir}).Told("d3", ""); err != nil || !newBoot {
		t.Error(newBoot, err)
	}
	if err := (Notices{filepath.Join(dir, recordFile)}).Put("d4", needed("x")); err == nil {
		t.Error("what cannot be written is no error")
	}
}
