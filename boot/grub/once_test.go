package grub

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/boot/loader/suite"
	"github.com/gitboot/gitboot/tests/need"
)

func TestOnce(t *testing.T) {
	need.Programs(t, "grub-emu", "mke2fs", "debugfs")
	suite.RunOnce(t, func(t *testing.T) suite.Asked {
		g, err := Open(t.TempDir(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return g
	}, func(t *testing.T, l suite.Asked) string { return bootOnce(t, l.(*GRUB)) })
}

// bootOnce has a real GRUB run the menu from a disk with an ext4, which it can
// write to, and returns what it would boot.
func bootOnce(t *testing.T, g *GRUB) string {
	t.Helper()
	dir := t.TempDir()
	root, disk := filepath.Join(dir, "root"), filepath.Join(dir, "disk")
	must(t, os.Mkdir(root, 0o755))
	must(t, os.CopyFS(filepath.Join(root, "gitboot/boot"), os.DirFS(filepath.Join(g.stage, "boot"))))
	tool(t, "mke2fs", "-q", "-t", "ext4", "-d", root, disk, "8M")
	must(t, os.WriteFile(filepath.Join(dir, "device.map"), []byte("(hd0) "+disk+"\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "grub.cfg"), []byte("set default=0\nset gitboot_stage=hd0\nsource (hd0)/gitboot/boot/gitboot.cfg\necho \"[$default] [$gitboot_once]\"\nexit\n"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "grub-emu", "-d", dir, "-r", "host", "-m", filepath.Join(dir, "device.map"))
	cmd.Env = []string{"TERM=dumb", "PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	m := regexp.MustCompile(`\[([a-z0-9][\w.-]*)\] \[\]`).FindSubmatch(out)
	if ctx.Err() != nil || m == nil {
		t.Fatalf("grub-emu: %v: %s", err, out)
	}
	block := filepath.Join(g.stage, "boot", blockFile)
	if _, err := os.Stat(block); err == nil { // as the machine finds it after the boot
		tool(t, "debugfs", "-R", "dump /gitboot/boot/"+blockFile+" "+block, disk)
	}
	return strings.TrimPrefix(string(m[1]), "0")
}

// What GRUB cannot take back, and what goes after somebody else's wish, is not
// chosen.
func TestOnceIsNotForEver(t *testing.T) {
	m := testMenu(boot.ModeManaged)
	m.Trial = &boot.Entry{ID: boot.TrialID("77"), Title: "tried", Kernel: kernelA, Initrd: initrdA}
	m.Stage.Path = t.TempDir()
	must(t, os.Mkdir(filepath.Join(m.Stage.Path, "boot"), 0o755))
	var b env.Block
	must(t, b.Set(onceName, m.Trial.ID))
	block, err := b.Marshal()
	must(t, err)
	path := filepath.Join(m.Stage.Path, "boot", blockFile)
	must(t, os.WriteFile(path, block, 0o600))
	for before, want := range map[string]string{
		"":                                       "error: sparse file not allowed.\n[" + boot.OlderID("desktop") + ">" + m.Default + "] []",
		"set default=theirs\nset boot_once=true": "[theirs] []",
	} {
		script := "set default=0\nset gitboot_stage=host\n" + before + "\nsource $prefix/gitboot.cfg\necho \"[$default] [$gitboot_once]\""
		if got := runGRUB(t, script, map[string]string{"gitboot.cfg": render(t, m)}); got != want {
			t.Errorf("after %q GRUB shows %q, want %q", before, got, want)
		}
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(block) {
		t.Errorf("the block is now %q, %v", now, err)
	}
}

func TestCheckOnce(t *testing.T) {
	g, err := Open(t.TempDir(), t.TempDir())
	must(t, err)
	for kind, fit := range map[string]bool{"ext4": true, "ext2": true, "xfs": true, "vfat": true, "": true, "btrfs": false, "f2fs": false} {
		err := g.CheckOnce(t.Context(), boot.Filesystem{UUID: ext4.UUID, Type: kind, Path: "/gitboot"})
		if (err == nil) != fit {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// A block that is damaged holds nothing, and is written anew.
func TestDamagedEnvironment(t *testing.T) {
	g, err := Open(t.TempDir(), t.TempDir())
	must(t, err)
	path := filepath.Join(g.stage, "boot", blockFile)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte("no block"), 0o600))
	if id, err := g.Once(t.Context(), ext4); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("%q, %v", id, err)
	}
	must(t, g.SetOnce(t.Context(), ext4, boot.TrialID("1")))
	if id, err := g.Once(t.Context(), ext4); err != nil || id != boot.TrialID("1") {
		t.Errorf("%q, %v", id, err)
	}
}

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
