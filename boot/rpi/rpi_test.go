package rpi

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/loader/suite"
	"github.com/gitboot/gitboot/boot/rpi/tryboot"
	"github.com/gitboot/gitboot/tests/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// theirs is a config.txt as Raspberry Pi OS has one, with what people add to it.
const theirs = `dtparam=audio=on
auto_initramfs=1
dtoverlay=vc4-kms-v3d
arm_boost=1
kernel=kernel8.img
include more.txt

[cm4]
otg_mode=1

[pi4]
max_framebuffers=2
`

// install makes a folder that stands for a boot partition.
func install(t *testing.T, top string) {
	t.Helper()
	for name, text := range map[string]string{"config.txt": theirs, "cmdline.txt": "root=/dev/mmcblk0p2 rootwait\n", "kernel8.img": "theirs", "more.txt": "gpu_mem=16\n"} {
		must(t, os.WriteFile(filepath.Join(top, name), []byte(text), 0o600))
	}
}

func open(t *testing.T) *Loader {
	t.Helper()
	top := t.TempDir()
	install(t, top)
	l, err := Open(top, t.TempDir())
	must(t, err)
	l.LiesAt(boot.Filesystem{UUID: "1234-ABCD", Type: "vfat", Path: "/"})
	return l
}

func TestLoader(t *testing.T) {
	suite.Run(t, func(t *testing.T) loader.Loader { return open(t) })
}

// A file system of its own stands for the boot partition: not all kernels have vfat.
func TestCopies(t *testing.T) {
	suite.RunCopies(t, func(t *testing.T) suite.Machine {
		top := filepath.Join(t.TempDir(), "firmware")
		need.Filesystem(t, top, suite.BootSize, "defaults", "mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal")
		install(t, top)
		stage := t.TempDir()
		l, err := Open(top, stage)
		must(t, err)
		return suite.Machine{Loader: l, Stage: stage, At: suite.Stage, Boot: top}
	})
}

// A published loader knows its menu, as who restarts the machine does.
type published struct {
	*Loader
	menu boot.Menu
}

func (p *published) Publish(ctx context.Context, m boot.Menu) error {
	p.menu = m
	return p.Loader.Publish(ctx, m)
}

func TestMemory(t *testing.T) {
	suite.RunMemory(t, func(t *testing.T) suite.Counting { return &published{Loader: open(t)} }, suite.Way{Asked: true}, func(t *testing.T, l suite.Counting, _ suite.Boot) string {
		p := l.(*published)
		must(t, p.Loader.Publish(t.Context(), p.menu)) // as what is judged good is, before the machine is restarted
		return idOf(t, p.Loader, p.menu, restart(t, p.Loader, p.menu))
	})
}

// idOf is the entry that was started, "" for another system; what is started of it has to be
// all of it.
func idOf(t *testing.T, l *Loader, m boot.Menu, s started) string {
	t.Helper()
	for _, e := range m.All() {
		if s.kernel != copyOf(e.Kernel) {
			continue
		}
		if want := (started{copyOf(e.Kernel), copyOf(e.Initrd), strings.Join(e.Args, " "), "64"}); s != want {
			t.Errorf("%+v is started, want %+v", s, want)
		}
		return e.ID
	}
	if s.kernel != "/kernel8.img" || s.arguments != "root=/dev/mmcblk0p2 rootwait" {
		t.Errorf("%+v is started", s)
	}
	return ""
}

// restart restarts the board as gitboot does, and says what boots.
func restart(t *testing.T, l *Loader, m boot.Menu) started {
	t.Helper()
	f := firmware{top: l.dir, model: "pi4"}
	f.tryboot = ask(t, l, m) == argument
	return f.boots(t)
}

// ask has what boots next be asked for and counted, and returns the argument of the restart.
func ask(t *testing.T, l *Loader, m boot.Menu) (argument string) {
	t.Helper()
	memory, err := l.Memory(t.Context(), m.Stage)
	must(t, err)
	is, err := memory.Read()
	must(t, err)
	id, then := m.Next(is)
	if id == "" {
		return ""
	}
	argument, err = l.Restart(t.Context(), m, id)
	must(t, err)
	must(t, memory.Change(func(is *boot.Memory) { *is = then }))
	return argument
}

// trial is a menu whose newest generation is on trial, with what is good to fall back to.
func trial(t *testing.T, l *Loader) boot.Menu {
	t.Helper()
	image := boot.MenuImage{Name: "desktop"}
	for _, n := range []string{"2", "1"} {
		image.Entries = append(image.Entries, boot.Entry{
			ID: boot.EntryID("desktop", strings.Repeat(n, 64)), Title: "desktop " + n, Kernel: "objects/sha256/" + strings.Repeat("a"+n, 32), Initrd: "objects/sha256/" + strings.Repeat("b"+n, 32),
			Args: []string{"quiet", "gitboot.deployment=" + n},
		})
	}
	m := boot.Menu{Stage: suite.Stage, Mode: boot.ModeManaged, Default: image.Entries[0].ID, Fallback: image.Entries[1].ID, Tries: 1, Images: []boot.MenuImage{image}}
	must(t, l.block().Change(func(is *boot.Memory) { is.Try(m.Default, 1) }))
	must(t, l.Publish(t.Context(), m))
	return m
}

// Whoever restarts the board, and if its power is cut, boots what was good; gitboot's restart
// boots what is new, once. When that proves good, config.txt boots it.
func TestTrial(t *testing.T) {
	l := open(t)
	m := trial(t, l)
	board := firmware{top: l.dir, model: "pi5", inFlash: true}
	if id := idOf(t, l, m, board.boots(t)); id != m.Fallback {
		t.Errorf("by itself %q boots", id)
	}
	board.tryboot = ask(t, l, m) == argument
	if id := idOf(t, l, m, board.boots(t)); id != m.Default {
		t.Errorf("what is tried is %q", id)
	}
	if id := idOf(t, l, m, board.boots(t)); id != m.Fallback {
		t.Errorf("after it %q boots", id)
	}
	if is, err := l.block().Read(); err != nil || !is.UsedUp(m.Default) {
		t.Errorf("its try is not counted: %+v, %v", is, err)
	}
	must(t, tryboot.Keep(l.dir, m.Fallback)) // of another entry nobody's business
	if id := idOf(t, l, m, board.boots(t)); id != m.Fallback {
		t.Errorf("%q boots", id)
	}
	must(t, tryboot.Keep(l.dir, m.Default))
	if id := idOf(t, l, m, board.boots(t)); id != m.Default {
		t.Errorf("what is good does not boot, but %q", id)
	}
	must(t, l.block().Change(func(is *boot.Memory) { is.Good = m.Default }))
	if why, err := l.Stale(t.Context(), m); err != nil || why != "" {
		t.Errorf("what process 1 has written differs from what gitboot would: %q, %v", why, err)
	}
	if got := ask(t, l, m); got != "" {
		t.Errorf("what boots by itself is asked for: %q", got)
	}
}

// Where nothing else could boot, as on a disk that was made for the board, what is new boots
// by itself, and in mode menu the first entry.
func TestAlone(t *testing.T) {
	for name, alone := range map[string]bool{"": true, "kernel8.img": false, "kernel=theirs.img": false, "include more.txt": false} {
		l := open(t)
		must(t, errors.Join(os.Remove(l.path("kernel8.img")), os.WriteFile(l.Where(), []byte("enable_uart=1\n"), 0o600)))
		switch {
		case strings.HasSuffix(name, ".img") && !strings.Contains(name, "="):
			must(t, os.WriteFile(l.path(name), nil, 0o600))
		case name != "":
			must(t, os.WriteFile(l.Where(), []byte(name+"\n"), 0o600))
		}
		m := trial(t, l)
		m.Images[0].Entries, m.Fallback = m.Images[0].Entries[:1], ""
		for _, mode := range []string{boot.ModeManaged, boot.ModeMenu} {
			if m.Mode = mode; mode == boot.ModeMenu {
				m.Default, m.Tries = "", 0
			}
			must(t, l.Publish(t.Context(), m))
			board := firmware{top: l.dir, model: "pi4"}
			if got := board.boots(t).kernel == copyOf(m.Images[0].Entries[0].Kernel); got != alone {
				t.Errorf("%q, mode %s: ours boots: %v", name, mode, got)
			}
		}
	}
}

// What somebody has added to config.txt since then stays, behind our part, too.
func TestTheirs(t *testing.T) {
	l := open(t)
	m := trial(t, l)
	ask(t, l, m)
	text, err := os.ReadFile(l.Where())
	must(t, err)
	must(t, os.WriteFile(l.Where(), append(text, "[pi5]\nkernel=kernel_2712.img\n"...), 0o600))
	must(t, tryboot.Keep(l.dir, m.Default))
	for _, model := range []string{"pi4", "pi5"} {
		board := firmware{top: l.dir, model: model}
		if id := idOf(t, l, m, board.boots(t)); id != m.Default {
			t.Errorf("on a %s %q boots", model, id)
		}
	}
	m.Mode, m.Tries, m.Default, m.Fallback = boot.ModeMenu, 0, "", ""
	must(t, l.Publish(t.Context(), m))
	if s := (&firmware{top: l.dir, model: "pi4"}).boots(t); s.kernel != "/kernel8.img" {
		t.Errorf("in mode menu %+v boots", s)
	}
	must(t, l.Unlink())
	text, err = os.ReadFile(l.Where())
	must(t, err)
	if want := theirs + "[pi5]\nkernel=kernel_2712.img\n"; string(text) != want {
		t.Errorf("it leaves %q", text)
	}
	for _, name := range []string{tryboot.Try, copiesDir} {
		if _, err := os.Stat(l.path(name)); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}

// No line is longer than what the firmware reads.
func TestLines(t *testing.T) {
	l := open(t)
	m := trial(t, l)
	ask(t, l, m)
	for _, name := range []string{tryboot.Config, tryboot.Try} {
		text, err := os.ReadFile(l.path(name))
		must(t, err)
		for line := range strings.Lines(string(text)) {
			if len(strings.TrimSuffix(line, "\n")) > lineLimit && !strings.HasPrefix(line, "#") {
				t.Errorf("%s has %q", name, line)
			}
		}
	}
}

// Where the firmware would not read our tryboot.txt, nothing is tried.
func TestUntried(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		untried    bool
	}{
		"none":              {"other.txt", "", false},
		"partitions":        {"autoboot.txt", "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n", true},
		"another partition": {"autoboot.txt", "[tryboot]\nboot_partition=3\n", true},
		"switched off":      {"autoboot.txt", "[none]\ntryboot_a_b=1\n[all]\nboot_partition=1\ntryboot_a_b=0\n", false},
		"somebody else's":   {"tryboot.txt", "kernel=new.img\n", true},
	} {
		l := open(t)
		m := trial(t, l)
		must(t, os.WriteFile(l.path(c.file), []byte(c.text), 0o600))
		_, err := l.Memory(t.Context(), m.Stage)
		if _, restart := l.Restart(t.Context(), m, m.Default); (restart != nil) != c.untried || (err != nil) != c.untried {
			t.Errorf("%s: %v, %v", name, err, restart)
		}
		if c.untried && !strings.Contains(err.Error(), c.file) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is torn is told and mended, and of arguments no more are there than entries have.
func TestTorn(t *testing.T) {
	l := open(t)
	m := trial(t, l)
	files, err := filepath.Glob(l.path("gitboot/*.txt"))
	must(t, err)
	if len(files) != 2 {
		t.Fatalf("arguments are %v", files)
	}
	for what, spoil := range map[string]func() error{
		"gone":    func() error { return os.Remove(files[0]) },
		"short":   func() error { return os.Truncate(files[1], 3) },
		"surplus": func() error { return os.WriteFile(l.path("gitboot/"+nameOf("x")), []byte("x"), 0o600) },
		"config":  func() error { return os.WriteFile(l.Where(), []byte(theirs), 0o600) },
	} {
		must(t, spoil())
		if why, err := l.Stale(t.Context(), m); err != nil || why == "" {
			t.Errorf("%s: it is not told: %v", what, err)
		}
		must(t, l.Publish(t.Context(), m))
		if now, err := filepath.Glob(l.path("gitboot/*.txt")); err != nil || !slices.Equal(now, files) {
			t.Errorf("%s: there are %v, %v", what, now, err)
		}
		if id := idOf(t, l, m, restart(t, l, m)); id != m.Default {
			t.Errorf("%s: %q boots", what, id)
		}
		must(t, l.block().Change(func(is *boot.Memory) { is.Try(m.Default, 1) }))
	}
}

// What is tried was taken away: who asks the firmware for it boots what boots by itself.
func TestForgotten(t *testing.T) {
	l := open(t)
	m := trial(t, l)
	ask(t, l, m)
	m.Images[0].Entries = m.Images[0].Entries[1:]
	m.Default, m.Fallback, m.Tries = m.Fallback, "", 0
	must(t, l.Publish(t.Context(), m))
	board := firmware{top: l.dir, model: "pi4", tryboot: true}
	if id := idOf(t, l, m, board.boots(t)); id != m.Default {
		t.Errorf("%q boots", id)
	}
}

func TestOpen(t *testing.T) {
	if _, err := Open(t.TempDir(), ""); err == nil || !strings.Contains(err.Error(), "--boot") {
		t.Error(err)
	}
}
