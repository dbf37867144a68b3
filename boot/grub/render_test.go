package grub

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/boot"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	kernelA = "objects/sha256/aaaa"
	initrdA = "objects/sha256/bbbb"
)

var ext4 = boot.Filesystem{UUID: "0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d", Type: "ext4", Path: "/gitboot"}

func testMenu(mode string) boot.Menu {
	deployment := func(c string) string { return strings.Repeat(c, 64) }
	entry := func(image, id, title, state string) boot.Entry {
		return boot.Entry{ID: boot.EntryID(image, id), Title: title, Kernel: kernelA, Initrd: initrdA, State: state,
			Args: []string{"quiet", "console=ttyS0", "gitboot.deployment=" + id, `dyndbg="file a.c +p"`}}
	}
	return boot.Menu{
		Stage: ext4, Mode: mode, Default: boot.EntryID("desktop", deployment("2")),
		Images: []boot.MenuImage{
			{Name: "desktop", Entries: []boot.Entry{
				entry("desktop", deployment("3"), "desktop, generation 3, 2024-05-02, 1a2b3c4", boot.Trying),
				entry("desktop", deployment("2"), "desktop, generation 2, 2024-05-01, 0a1b2c3", boot.Good),
				entry("desktop", deployment("1"), "desktop, generation 1, 2024-04-30, ffeeddc", boot.Bad),
			}},
			{Name: "router", Entries: []boot.Entry{entry("router", deployment("4"), "router, generation 1", "")}},
		},
	}
}

func hostileMenu() boot.Menu {
	m := testMenu(boot.ModeManaged)
	m.Stage.Path = "/a b/$root;{ü}"
	e := &m.Images[0].Entries[0]
	e.Title = hostileTitle
	e.Kernel = "objects/a b/$x;}{#"
	e.Args = hostileArgs
	m.Images[0].Name = "x'; reboot; '{"
	m.Default = e.ID
	return m
}

const hostileTitle = `it's "${root}" \ ; } { $(x) | & # > < * ✓`

// hostileArgs is what reaches the kernel whole, as the kernel's parameters.
var hostileArgs = []string{"a=b c", "v=$root", "s=;reboot", "{", "}", "#x", "|&<>*?[]!~", "ü=✓", "--", "x=$(y)", "${z}", "==", "%d"}

func render(t *testing.T, m boot.Menu) string {
	t.Helper()
	out, err := Render(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestGolden(t *testing.T) {
	seconds := 5
	managed := testMenu(boot.ModeManaged)
	managed.Timeout = &seconds
	newest := managed
	newest.Default, newest.Timeout = newest.Images[0].Entries[0].ID, nil
	onBtrfs := testMenu(boot.ModeMenu)
	onBtrfs.Stage.Type, onBtrfs.Images = "btrfs", onBtrfs.Images[1:]
	tried := testMenu(boot.ModeMenu)
	tried.Images = tried.Images[1:]
	tried.Trial = &boot.Entry{ID: boot.TrialID(strings.Repeat("5", 64)), Title: "try: ghcr.io/steve/gaming", Kernel: kernelA, Initrd: initrdA}
	recovery := testMenu(boot.ModeManaged)
	recovery.Images, recovery.Default = recovery.Images[1:], boot.RecoveryID
	recovery.Recovery = &boot.Entry{ID: boot.RecoveryID, Title: "Recovery", Kernel: kernelA, Initrd: initrdA, Args: []string{"gitboot.recovery=1"}}
	safe := testMenu(boot.ModeMenu)
	safe.Images = safe.Images[1:]
	safe.Safe = &boot.Entry{ID: boot.SafeGraphicsID, Title: "desktop, safe graphics", Kernel: kernelA, Initrd: initrdA, Args: []string{"nomodeset"}}
	trying := testMenu(boot.ModeManaged)
	trying.Default, trying.Fallback, trying.Tries = newest.Default, trying.Default, 3
	beside := boot.Filesystem{UUID: "1234-ABCD", Type: "vfat", Path: "/grub/gitboot"}
	apart := site{stage: ext4, beside: &beside}
	besideMenu, err := apart.render(testMenu(boot.ModeManaged), &envFile{folder: beside})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"apart.cfg":    string(besideMenu),
		"beside.cfg":   apart.block(),
		"onbtrfs.cfg":  render(t, onBtrfs),
		"menu.cfg":     render(t, testMenu(boot.ModeMenu)),
		"tried.cfg":    render(t, tried),
		"recovery.cfg": render(t, recovery),
		"safe.cfg":     render(t, safe),
		"managed.cfg":  render(t, managed),
		"newest.cfg":   render(t, newest),
		"trying.cfg":   render(t, trying),
		"hostile.cfg":  render(t, hostileMenu()),
		"empty.cfg":    render(t, boot.Menu{Stage: ext4, Mode: boot.ModeManaged}),
		"custom.cfg":   partOf(ext4),
		"btrfs.cfg":    partOf(boot.Filesystem{UUID: "0b8e", Type: "btrfs", Path: "/@/it s"}),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), text); diff != "" {
			t.Errorf("%s differs; look, then run go test -update: (-want +got)\n%s", name, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(*boot.Menu){
		"mode":            func(m *boot.Menu) { m.Mode = "" },
		"timeout":         func(m *boot.Menu) { n := -2; m.Timeout = &n },
		"fallback":        func(m *boot.Menu) { m.Fallback = "gitboot-none" },
		"tries":           func(m *boot.Menu) { m.Tries = 10 },
		"no block":        func(m *boot.Menu) { m.Stage.Type, m.Tries = "btrfs", 3 },
		"default":         func(m *boot.Menu) { m.Default = "gitboot-none" },
		"uuid":            func(m *boot.Menu) { m.Stage.UUID = "x; reboot" },
		"type":            func(m *boot.Menu) { m.Stage.Type = "zfs" },
		"stage path":      func(m *boot.Menu) { m.Stage.Path = "/a/../b" },
		"title":           func(m *boot.Menu) { m.Images[0].Entries[0].Title = "a\nb" },
		"title utf-8":     func(m *boot.Menu) { m.Images[0].Entries[0].Title = "a\xff" },
		"id number":       func(m *boot.Menu) { m.Images[0].Entries[0].ID = "1" },
		"id path":         func(m *boot.Menu) { m.Images[0].Entries[0].ID = "a>b" },
		"recovery":        func(m *boot.Menu) { m.Recovery = &m.Images[0].Entries[0] },
		"trial":           func(m *boot.Menu) { m.Trial = &m.Images[0].Entries[0] },
		"id twice":        func(m *boot.Menu) { m.Images[1].Entries[0].ID = m.Images[0].Entries[0].ID },
		"state":           func(m *boot.Menu) { m.Images[0].Entries[0].State = "fine" },
		"kernel":          func(m *boot.Menu) { m.Images[0].Entries[0].Kernel = "../vmlinuz" },
		"kernel absolute": func(m *boot.Menu) { m.Images[0].Entries[0].Kernel = "/vmlinuz" },
		"initrd":          func(m *boot.Menu) { m.Images[0].Entries[0].Initrd = "" },
		"argument line":   func(m *boot.Menu) { m.Images[0].Entries[0].Args = []string{"a\nb"} },
		"argument tab":    func(m *boot.Menu) { m.Images[0].Entries[0].Args = []string{"a=b\tc"} },
		"argument empty":  func(m *boot.Menu) { m.Images[0].Entries[0].Args = []string{""} },
		"arguments long":  func(m *boot.Menu) { m.Images[0].Entries[0].Args = []string{strings.Repeat("x", 2048)} },
	} {
		m := testMenu(boot.ModeManaged)
		change(&m)
		if out, err := Render(m); err == nil || out != nil {
			t.Errorf("%s: no error", name)
		}
	}
}
