package extlinux

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/loader/suite"
	"github.com/gitboot/gitboot/tests/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// theirs is what a distribution has written (Debian's u-boot-menu).
const theirs = `default l0
menu title U-Boot menu
prompt 0
timeout 50

label l0
	menu label Debian GNU/Linux 12 6.1.0-9-arm64
	linux /vmlinuz-6.1.0-9-arm64
	initrd /initrd.img-6.1.0-9-arm64
	append root=/dev/mmcblk0p2 ro`

func open(t *testing.T) *Loader {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, confFile), []byte(theirs), 0o644))
	l, err := Open(dir, t.TempDir())
	must(t, err)
	return l
}

func TestLoader(t *testing.T) {
	suite.Run(t, func(t *testing.T) loader.Loader { return open(t) })
}

// A file system of its own stands for the partition that U-Boot reads.
func TestCopies(t *testing.T) {
	suite.RunCopies(t, func(t *testing.T) suite.Machine {
		dir := filepath.Join(t.TempDir(), "boot")
		need.Filesystem(t, dir, suite.BootSize, "defaults", "mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal")
		stage := t.TempDir()
		l, err := Open(dir, stage)
		must(t, err)
		return suite.Machine{Loader: l, Stage: stage, At: suite.Stage, Boot: dir}
	})
}

// menu has an image with two generations.
func menu() boot.Menu {
	image := boot.MenuImage{Name: "desktop"}
	for _, n := range []string{"2", "1"} {
		image.Entries = append(image.Entries, boot.Entry{
			ID: boot.EntryID("desktop", strings.Repeat(n, 64)), Title: "desktop " + n, Kernel: "objects/sha256/" + strings.Repeat("a"+n, 32), Initrd: "objects/sha256/" + strings.Repeat("b"+n, 32),
			Args: []string{"quiet", "gitboot.deployment=" + n},
		})
	}
	return boot.Menu{Stage: suite.Stage, Mode: boot.ModeManaged, Default: image.Entries[0].ID, Fallback: image.Entries[1].ID, Images: []boot.MenuImage{image}}
}

// A model boots as U-Boot does (its boot/pxe_utils.c, handle_pxe_menu): the default, else
// each other label that can be loaded, in their order. TestUBoot compares it.
func model(t *testing.T, l *Loader, lost string) string {
	t.Helper()
	text, err := os.ReadFile(l.Where())
	must(t, err)
	var order []string
	chosen, label, kernels := "", "", map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToLower(key) {
		case "default":
			chosen = value
		case "label":
			label = value
			order = append(order, label)
		case "linux":
			kernels[label] = value
		}
	}
	for _, label := range append([]string{chosen}, order...) {
		if kernel := kernels[label]; kernel != "" && (lost == "" || filepath.Base(kernel) != filepath.Base(lost)) {
			return label
		}
	}
	return ""
}

// In mode managed the default boots, before all else the distribution's if it is lost; in
// mode menu nothing is chosen. What others wrote stays, whatever they write behind ours.
func TestBoots(t *testing.T) {
	l, m := open(t), menu()
	must(t, l.Publish(t.Context(), m))
	if got := model(t, l, ""); got != m.Default {
		t.Errorf("%q boots", got)
	}
	if got := model(t, l, m.Images[0].Entries[0].Kernel); got != "l0" {
		t.Errorf("in place of what is lost %q boots", got)
	}
	text, err := os.ReadFile(l.Where())
	must(t, err)
	must(t, os.WriteFile(l.Where(), append(text, "default l1\nlabel l1\n\tlinux /other\n"...), 0o644))
	older := m
	older.Default, older.Fallback = m.Fallback, ""
	must(t, l.Publish(t.Context(), older))
	if got := model(t, l, ""); got != older.Default {
		t.Errorf("behind what was added %q boots", got)
	}
	must(t, l.Publish(t.Context(), boot.Menu{Stage: m.Stage, Mode: boot.ModeMenu, Images: m.Images}))
	if got := model(t, l, ""); got != "l1" {
		t.Errorf("in mode menu %q boots", got)
	}
	if o := l.Others(); !o.Known || o.None {
		t.Errorf("other systems are not seen: %+v", o)
	}
	must(t, l.Unlink())
	text, err = os.ReadFile(l.Where())
	must(t, err)
	if want := theirs + "\ndefault l1\nlabel l1\n\tlinux /other\n"; string(text) != want {
		t.Errorf("it leaves %q", text)
	}
}

// Alone in the file, the fallback boots before other generations.
func TestFallback(t *testing.T) {
	l, m := open(t), menu()
	must(t, os.Remove(l.Where()))
	third := m.Images[0].Entries[1]
	third.ID, third.Kernel = boot.EntryID("desktop", strings.Repeat("3", 64)), "objects/sha256/"+strings.Repeat("a3", 32)
	m.Images[0].Entries = slices.Insert(m.Images[0].Entries, 1, third)
	must(t, l.Publish(t.Context(), m))
	if got := model(t, l, m.Images[0].Entries[0].Kernel); got != m.Fallback {
		t.Errorf("%q boots", got)
	}
	must(t, l.Unlink())
	if _, err := os.Stat(l.Where()); !os.IsNotExist(err) {
		t.Errorf("a file is left: %v", err)
	}
}

// What is hostile in a menu is data to U-Boot, or refused.
func TestRender(t *testing.T) {
	m := menu()
	m.Images[0].Entries = m.Images[0].Entries[:1]
	m.Fallback = ""
	seconds := 3
	m.Timeout = &seconds
	e := &m.Images[0].Entries[0]
	e.Title, e.Args, e.State = " x # y ", []string{"a=b c", "$x", "label", "#"}, boot.Trying
	got, err := render(m)
	must(t, err)
	want := []string{
		"LABEL " + e.ID, "  MENU LABEL x # y [trying]", "  LINUX gitboot/" + filepath.Base(e.Kernel), "  INITRD gitboot/" + filepath.Base(e.Initrd),
		`  APPEND "a=b c" $x label #`, "DEFAULT " + e.ID, "PROMPT 1", "TIMEOUT 30",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	for what, spoil := range map[string]func(*boot.Entry){
		"a variable":         func(e *boot.Entry) { e.Args = []string{"a=${serverip}"} },
		"a variable, too":    func(e *boot.Entry) { e.Args = []string{"$(x)"} },
		"another line":       func(e *boot.Entry) { e.Title = "x\nappend init=/bin/sh" },
		"a comment":          func(e *boot.Entry) { e.Title = "# x" },
		"arguments' comment": func(e *boot.Entry) { e.Args = []string{"#", "quiet"} },
		"no title":           func(e *boot.Entry) { e.Title = " " },
	} {
		bad := menu()
		spoil(&bad.Images[0].Entries[0])
		if _, err := render(bad); err == nil {
			t.Errorf("%s is written", what)
		}
	}
}

func TestOpen(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none"), ""); err == nil || !strings.Contains(err.Error(), "--boot") {
		t.Error(err)
	}
	l := open(t)
	must(t, os.WriteFile(l.Where(), []byte("### BEGIN gitboot ###\nLABEL x\n"), 0o644))
	if _, err := l.Entries(); err == nil || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("a block without its end: %v", err)
	}
}
