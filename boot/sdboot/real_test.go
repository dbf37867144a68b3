package sdboot

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader/suite"
	"github.com/gitboot/gitboot/tests/need"
)

// Where Debian has systemd-boot and OVMF.
const (
	program  = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	need.Done(t, err, out)
}

// A machine boots a real systemd-boot, by UEFI, from a copy of an ESP.
type machine struct {
	*Loader
	how suite.Boot
}

// boot returns the entry that boots, "" for the distribution's, and has the names on
// the ESP as they are after that.
func (m machine) boot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	esp, vars := filepath.Join(dir, "esp"), filepath.Join(dir, "vars")
	tool(t, "mkfs.vfat", "-F", "32", "-C", esp, "65536")
	m.kernels(t)
	tool(t, "mmd", "-i", esp, "::EFI", "::EFI/BOOT")
	tool(t, "mcopy", "-i", esp, program, "::EFI/BOOT/BOOTX64.EFI")
	for _, folder := range []string{"loader", "debian", copiesDir} {
		tool(t, "mcopy", "-s", "-i", esp, filepath.Join(m.esp, folder), "::")
	}
	if m.how.Lost != "" {
		tool(t, "mdel", "-i", esp, "::"+copyOf(m.how.Lost))
	}
	tool(t, "cp", ovmfVars, vars)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "256",
		"-display", "none", "-vga", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-no-reboot",
		"-drive", "if=pflash,format=raw,readonly=on,file="+ovmfCode, "-drive", "if=pflash,format=raw,file="+vars,
		"-drive", "if=virtio,format=raw,file="+esp).CombinedOutput()
	booted := regexp.MustCompile(`BOOTED (\S+)`).FindSubmatch(out)
	if err != nil || booted == nil {
		t.Fatalf("%v: %q", err, out)
	}
	must(t, os.RemoveAll(m.entries()))
	tool(t, "mcopy", "-s", "-n", "-i", esp, "::"+entriesDir, filepath.Dir(m.entries()))
	return strings.TrimPrefix(string(booted[1]), "theirs")
}

// kernels puts one for each entry where it is to be: a program that says which it is.
func (m machine) kernels(t *testing.T) {
	t.Helper()
	files, err := m.files()
	must(t, err)
	made := map[string]string{filepath.Join(m.esp, "debian/linux"): "theirs"}
	for _, f := range files {
		found := map[string]string{}
		keys(string(f.text), found)
		for key, name := range map[string]string{"linux": f.ID, "initrd": ""} {
			if found[key] != "" {
				made[filepath.Join(m.esp, found[key])] = name
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(made)) {
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		if info, err := os.Stat(path); err == nil && info.Size() > 100 {
			continue
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if made[path] == "" {
			must(t, os.WriteFile(path, []byte("initramfs"), 0o600))
			continue
		}
		says := filepath.Join(t.TempDir(), "says")
		must(t, os.WriteFile(says, []byte("echo BOOTED "+made[path]+"\nhalt\n"), 0o600))
		tool(t, "grub-mkimage", "-O", "x86_64-efi", "-o", path, "-p", "/", "-c", says, "echo", "halt")
	}
}

// names are those of all entries.
func (l *Loader) names(t *testing.T) (names []string) {
	t.Helper()
	all, err := os.ReadDir(l.entries())
	must(t, err)
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

func needMachine(t *testing.T) {
	need.Programs(t, "qemu-system-x86_64", "mkfs.vfat", "mcopy", "mmd", "mdel", "grub-mkimage")
	for _, file := range []string{program, ovmfCode, ovmfVars} {
		if _, err := os.Stat(file); err != nil {
			t.Fatalf("%v; run tests/deps.sh test", err)
		}
	}
}

// A real systemd-boot boots, and counts, what the model does with which all else is
// tested.
func TestBoots(t *testing.T) {
	needMachine(t)
	l := open(t)
	must(t, os.WriteFile(filepath.Join(l.esp, "loader/loader.conf"), []byte("default 0123*\n"+conf0), 0o600))
	m := fleet()
	must(t, l.Publish(t.Context(), m))
	memory, err := l.Memory(t.Context(), suite.Stage)
	must(t, err)
	must(t, memory.Change(func(is *boot.Memory) { is.Try(m.Default, 1) }))
	for _, want := range []string{m.Default, m.Fallback} {
		real := copied(t, l)
		id := machine{real, suite.Boot{}}.boot(t)
		model := model{l, suite.Boot{}}.boot(t)
		if id != want || model != want || !slices.Equal(real.names(t), l.names(t)) {
			t.Errorf("%q boots, and by the model %q, want %q; the names are %q, and by the model %q", id, model, want, real.names(t), l.names(t))
		}
	}
	m.Mode, m.Default, m.Fallback, m.Tries = boot.ModeMenu, "", "", 0
	must(t, l.Publish(t.Context(), m))
	if id := (machine{l, suite.Boot{}}).boot(t); id != "" {
		t.Errorf("in mode menu, %q boots", id)
	}
}

// copied is a loader whose partition is a copy of another's.
func copied(t *testing.T, l *Loader) *Loader {
	t.Helper()
	to := *l
	to.esp = filepath.Join(t.TempDir(), "esp")
	to.boot = to.esp
	must(t, os.CopyFS(to.esp, os.DirFS(l.esp)))
	return &to
}

// fleet is a menu whose default is on trial.
func fleet() boot.Menu {
	m := boot.Menu{Stage: suite.Stage, Mode: boot.ModeManaged, Images: []boot.MenuImage{{Name: "desktop"}}, Tries: 3}
	for _, n := range []string{"2", "1"} {
		m.Images[0].Entries = append(m.Images[0].Entries, boot.Entry{
			ID: boot.EntryID("desktop", strings.Repeat(n, 64)), Title: "desktop " + n,
			Kernel: "objects/sha256/" + strings.Repeat("a"+n, 32), Initrd: "objects/sha256/" + strings.Repeat("b"+n, 32),
		})
	}
	m.Choose("")
	m.Tries, m.Fallback = 3, m.Images[0].Entries[1].ID
	return m
}
