package grub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/block"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// Where the stage is on a striped volume of LVM's and /boot lies there, too, the real
// GRUB finds menu and kernels on it, and counts on the EFI system partition.
func TestReadsVolume(t *testing.T) {
	need.Root(t)
	need.Programs(t, "grub-emu", "lvm", "mke2fs", "mkfs.vfat", "mcopy", "mmd")
	_, m, _ := tried(t, 2)
	id := strings.Repeat("a", 32)
	m.Stage.Assembly = deployment.NewAssembly(deployment.Step{Kind: deployment.AssembleLVM, ID: id, Volume: id})
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	b := &envFile{File: block.File(at(blockFile)), folder: boot.Filesystem{UUID: "1234-ABCD", Type: "vfat", Path: "/" + espDir}}
	must(t, b.Change(func(is *boot.Memory) { is.Try(m.Default, 2) }))
	tool(t, "mkfs.vfat", "-i", "1234ABCD", "-C", at("esp"), "16384")
	tool(t, "mmd", "-i", at("esp"), "::EFI", "::"+espDir)
	tool(t, "mcopy", "-i", at("esp"), string(b.File), "::"+espDir+"/"+blockFile)

	s := site{stage: m.Stage}
	if text := s.block(); !strings.Contains(text, " lvm;") {
		t.Errorf("GRUB is not told to load its module:\n%s", text)
	}
	if Writable(m.Stage) == nil {
		t.Error("GRUB is taken to write to a volume")
	}
	text, err := s.render(m, b)
	must(t, err)
	must(t, os.MkdirAll(at("root/gitboot/boot"), 0o755))
	must(t, os.WriteFile(at("root/gitboot/"+MenuFile), commands.ReplaceAll(text, []byte("${1}test_$2 ")), 0o600))
	kernels := kernelsOf(text)
	for file := range kernels {
		path := filepath.Join(at("root"), file)
		must(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(file), 0o600)))
	}
	var places []lab.Place
	for _, disk := range []string{at("a"), at("b")} {
		must(t, errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 32<<20)))
		places = append(places, lab.Place{Path: disk})
	}
	g, err := lab.NewVolumeGroup(t.Context(), "a-group", nil, places...)
	must(t, err)
	must(t, g.Create(t.Context(), "a-volume", "-L", "32M", "-i", "2", "-I", "64k"))
	tool(t, "mke2fs", "-q", "-t", "ext4", "-U", m.Stage.UUID, "-d", at("root"), at("image"), "32M")
	must(t, errors.Join(g.Write(t.Context(), "a-volume", at("image")), g.Close()))
	must(t, os.WriteFile(at("device.map"), []byte("(hd0) "+at("a")+"\n(hd1) "+at("b")+"\n(hd2) "+at("esp")+"\n"), 0o600))
	must(t, os.WriteFile(at("grub.cfg"), []byte(strings.ReplaceAll(theirs+loads, "(hd0)", "(lvm/a--group-a--volume)")), 0o600))

	if entry := kernels[(emulation{}).run(t, dir)]; entry != m.Default {
		t.Errorf("%q boots, want %q", entry, m.Default)
	}
	tool(t, "mcopy", "-o", "-n", "-i", at("esp"), "::"+espDir+"/"+blockFile, string(b.File))
	if is, err := b.Read(); err != nil || is.Left != 1 {
		t.Errorf("it remembers %+v, %v", is, err)
	}
}

// A partition of an array is as little a place to write to as the array.
func TestIsMapped(t *testing.T) {
	sys := t.TempDir()
	for _, dir := range []string{"md0/md", "md0/md0p1", "sda/sda1", "dm-0/dm"} {
		must(t, os.MkdirAll(filepath.Join(sys, dir), 0o755))
	}
	for name, want := range map[string]bool{"md0": true, "md0/md0p1": true, "dm-0": true, "sda": false, "sda/sda1": false} {
		if got := isMapped(filepath.Join(sys, name)); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}
