package sdboot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/loader/suite"
	"github.com/gitboot/gitboot/boot/sdboot/counter"
	"github.com/gitboot/gitboot/tests/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// theirs is a distribution's entry, and conf its loader.conf.
const (
	theirs     = "title Debian\nsort-key debian\nlinux /debian/linux\n"
	theirsFile = "0123456789abcdef0123456789abcdef-6.1.0.conf"
	conf0      = "timeout 0\nconsole-mode keep\n"
)

// install puts systemd-boot into a folder that stands for an ESP, and an entry of a
// distribution beside it.
func install(t *testing.T, esp string) {
	t.Helper()
	for name, text := range map[string]string{
		"EFI/systemd/systemd-bootx64.efi": "MZ", "loader/loader.conf": conf0, "loader/entries/" + theirsFile: theirs, "debian/linux": "theirs",
	} {
		path := filepath.Join(esp, name)
		must(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)))
	}
}

func open(t *testing.T) *Loader {
	t.Helper()
	esp := t.TempDir()
	install(t, esp)
	l, err := Open(esp, t.TempDir())
	must(t, err)
	l.at = &boot.Filesystem{UUID: "1234-ABCD", Type: "vfat", Path: "/"}
	l.vars = firmware{efivar.Folder(t.TempDir())}
	return l
}

func TestLoader(t *testing.T) {
	suite.Run(t, func(t *testing.T) loader.Loader { return open(t) })
}

// A file system of its own stands for the ESP: not all kernels have vfat.
func TestCopies(t *testing.T) {
	suite.RunCopies(t, func(t *testing.T) suite.Machine {
		esp := filepath.Join(t.TempDir(), "esp")
		need.Filesystem(t, esp, suite.BootSize, "defaults", "mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal")
		install(t, esp)
		stage := t.TempDir()
		l, err := Open(esp, stage)
		must(t, err)
		return suite.Machine{Loader: l, Stage: stage, At: suite.Stage, Boot: esp}
	})
}

func TestMemory(t *testing.T) {
	suite.RunMemory(t, func(t *testing.T) suite.Counting { return open(t) }, suite.Way{InNames: true}, func(t *testing.T, l suite.Counting, how suite.Boot) string {
		return model{l.(*Loader), how}.boot(t)
	})
}

// A model boots as systemd-boot does (src/boot/efi/boot.c), with which TestBoots
// compares it.
type model struct {
	*Loader
	how suite.Boot
}

// A listed is an entry in the boot loader's menu.
type listed struct {
	counter.Name
	keys map[string]string
}

// boot returns the entry that boots, "" for the distribution's, and has counted it.
func (m model) boot(t *testing.T) string {
	t.Helper()
	all := m.list(t)
	once, err := m.vars.get(oneShotVar)
	must(t, err)
	must(t, m.vars.set(oneShotVar, ""))
	settings := map[string]string{}
	text, err := os.ReadFile(filepath.Join(m.esp, "loader/loader.conf"))
	must(t, err)
	keys(string(text), settings)
	for _, pattern := range []string{once, settings["default"]} {
		for _, e := range all {
			if match, _ := filepath.Match(pattern, e.ID+e.Ext); pattern != "" && match {
				return m.start(t, e)
			}
		}
	}
	return m.start(t, all[0])
}

// list is in the boot loader's order.
func (m model) list(t *testing.T) (all []listed) {
	t.Helper()
	files, err := os.ReadDir(m.entries())
	must(t, err)
	for _, f := range files {
		n, ok := counter.Parse(f.Name(), counter.Entry)
		if !ok {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.entries(), f.Name()))
		must(t, err)
		e := listed{n, map[string]string{}}
		keys(string(text), e.keys)
		if starts := e.keys[linuxKey] + e.keys[efiKey]; starts != "" && filepath.Base(starts) != filepath.Base(m.how.Lost) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b listed) int {
		used := func(e listed) int { return rank(e.Counted && e.Left == 0) }
		keyless := func(e listed) int { return rank(e.keys["sort-key"] == "") }
		for _, order := range []int{used(a) - used(b), keyless(a) - keyless(b), strings.Compare(a.keys["sort-key"], b.keys["sort-key"])} {
			if order != 0 {
				return order
			}
		}
		return -strings.Compare(a.ID, b.ID)
	})
	return all
}

func keys(text string, into map[string]string) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && !strings.HasPrefix(key, "#") {
			into[key] = strings.TrimSpace(value)
		}
	}
}

func (m model) start(t *testing.T, e listed) string {
	t.Helper()
	if e.Counted {
		next := e.Name
		next.Left, next.Done = max(e.Left-1, 0), e.Done+1
		must(t, os.Rename(filepath.Join(m.entries(), e.String()), filepath.Join(m.entries(), next.String())))
	}
	if e.String() == theirsFile {
		return ""
	}
	return e.ID
}

// What is not as gitboot would have written it is mended, and what is not ours stays.
func TestTornEntries(t *testing.T) {
	l := open(t)
	kernel := "objects/sha256/" + strings.Repeat("a", 64)
	entry := boot.Entry{ID: boot.EntryID("desktop", strings.Repeat("1", 64)), Title: "desktop", Kernel: kernel, Initrd: kernel, Args: []string{"quiet"}}
	m := boot.Menu{Stage: suite.Stage, Mode: boot.ModeManaged, Images: []boot.MenuImage{{Name: "desktop", Entries: []boot.Entry{entry}}}, Default: entry.ID, Tries: 3}
	must(t, l.Publish(t.Context(), m))
	foreign := []string{theirsFile, "gitboot.conf", "gitboot-mine.conf", "gitboot-x-0123456789abcdef.conf.bak", "arch+2.conf"}
	for _, name := range foreign {
		must(t, os.WriteFile(filepath.Join(l.entries(), name), []byte(name), 0o600))
	}
	for what, spoil := range map[string]func(path string) error{
		"gone":    os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"short":   func(path string) error { return os.Truncate(path, 40) },
		"garbage": func(path string) error { return os.WriteFile(path, make([]byte, maxEntry*2), 0o600) },
		"twice": func(path string) error {
			return os.WriteFile(filepath.Join(l.entries(), entry.ID+"+1-2.conf"), []byte("title x\n"), 0o600)
		},
		"surplus": func(path string) error {
			return os.WriteFile(filepath.Join(l.entries(), "gitboot-x-0123456789abcdef+3.conf"), []byte("linux /x\n"), 0o600)
		},
		"halfdone": func(path string) error {
			return errors.Join(os.Rename(path, filepath.Join(l.entries(), ".gitboot-tmp-1")), nil)
		},
	} {
		files, err := l.files()
		must(t, err)
		must(t, spoil(filepath.Join(l.entries(), files[0].String())))
		if why, err := l.Stale(t.Context(), m); err != nil || why == "" {
			t.Errorf("%s: it is not told: %v", what, err)
		}
		must(t, l.Publish(t.Context(), m))
		if why, err := l.Stale(t.Context(), m); err != nil || why != "" {
			t.Errorf("%s: it is not mended: %q, %v", what, why, err)
		}
		if booted := (model{l, suite.Boot{}}).boot(t); booted != entry.ID {
			t.Errorf("%s: %q boots", what, booted)
		}
	}
	all, err := os.ReadDir(l.entries())
	must(t, err)
	if len(all) != len(foreign)+1 {
		t.Errorf("there are %v", all)
	}
	for _, name := range foreign {
		if text, err := os.ReadFile(filepath.Join(l.entries(), name)); err != nil || string(text) != name {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if o := l.Others(); !o.Known || o.None {
		t.Error("another system is not seen")
	}
}

// What is hostile in a menu is data to the boot loader.
func TestRender(t *testing.T) {
	kernel := "objects/sha256/" + strings.Repeat("a", 64)
	entry := boot.Entry{ID: boot.EntryID("desktop", strings.Repeat("1", 64)), Title: " desktop # x ", Kernel: kernel, Initrd: kernel, Args: []string{"a=b c", `d="e f"`, "linux", "#"}, State: boot.Trying}
	m := boot.Menu{Stage: suite.Stage, Mode: boot.ModeMenu, Images: []boot.MenuImage{{Name: "desktop", Entries: []boot.Entry{entry}}}}
	all, err := render(m, form{})
	must(t, err)
	copied := "/gitboot/" + strings.Repeat("a", 64)
	want := written + "\ntitle desktop # x [trying]\nsort-key ~gitboot-000\nlinux " + copied + "\ninitrd " + copied + "\noptions \"a=b c\" \"d=e f\" linux #\n"
	if len(all) != 1 || all[0].text != want {
		t.Errorf("%q\nwant %q", all[0].text, want)
	}
	m.Images[0].Entries[0].Title = "x\noptions init=/bin/sh"
	if _, err := render(m, form{}); err == nil {
		t.Error("a title goes on in another line")
	}
}

// Where the firmware was told to boot something always, no fallback would come; and on an
// array it would count on one disk.
func TestUncounted(t *testing.T) {
	l := open(t)
	l.at.Assembly = "raid:0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d"
	if _, err := l.Memory(t.Context(), suite.Stage); err == nil || !strings.Contains(err.Error(), "one of the disks of that alone; have it on a plain partition") {
		t.Errorf("%v", err)
	}
	l.at.Assembly = ""
	must(t, l.vars.set(defaultVar, "arch.conf"))
	if _, err := l.Memory(t.Context(), suite.Stage); err == nil || !strings.Contains(err.Error(), "bootctl set-default") {
		t.Errorf("%v", err)
	}
	must(t, l.vars.set(defaultVar, ""))
	l.vars = firmware{efivar.Folder(filepath.Join(t.TempDir(), "none"))}
	m, err := l.Memory(t.Context(), suite.Stage)
	must(t, err)
	if err := m.Change(func(is *boot.Memory) { is.Once = boot.RecoveryID }); err == nil || !strings.Contains(err.Error(), "efivarfs") {
		t.Errorf("%v", err)
	}
	must(t, m.Change(func(is *boot.Memory) { is.Try(boot.EntryID("x", strings.Repeat("1", 64)), 2) }))
	must(t, os.MkdirAll(filepath.Join(l.esp, "efi"), 0o700))
	l.at = &boot.Filesystem{UUID: "1234-ABCD", Path: "/efi"}
	if _, err := l.Memory(t.Context(), suite.Stage); err == nil {
		t.Error("a folder on a partition is taken for its top")
	}
}

func TestFound(t *testing.T) {
	if _, err := Open(t.TempDir(), ""); err == nil || !strings.Contains(err.Error(), "bootctl install") {
		t.Errorf("%v", err)
	}
	l := open(t)
	l.vars = firmware{efivar.Folder(t.TempDir())}
	must(t, l.vars.set(oneShotVar, "arch.conf"))
	if o := l.Others(); o.Asked != "arch.conf" {
		t.Errorf("%+v", o)
	}
	must(t, os.WriteFile(filepath.Join(string(l.vars.Folder), oneShotVar+"-"+vendor), []byte{7, 0, 0}, 0o600))
	m, err := l.Memory(context.Background(), suite.Stage)
	must(t, err)
	if is, err := m.Read(); err == nil {
		t.Error(fmt.Sprint("a variable that is none says ", is))
	}
	must(t, m.Change(func(is *boot.Memory) { is.Once = boot.RecoveryID }))
	if is, err := m.Read(); err != nil || is.Once != boot.RecoveryID {
		t.Errorf("%+v, %v", is, err)
	}
}
