package grub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/tests/need"
)

// made makes a file system that holds src, without mounting it.
func made(t *testing.T, src string, size int64, command ...string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{append([]string{command[0], "-q"}, command[1:]...)}
	switch command[0] {
	case "mkfs.ext4":
		commands[0] = append(commands[0], "-F", "-d", src, image)
	case "mkfs.xfs":
		proto := filepath.Join(t.TempDir(), "proto")
		text := fmt.Sprintf("/\n0 0\nd--755 0 0\nbig ---644 0 0 %[1]s/big\nsmall ---644 0 0 %[1]s/small\n$\n$\n", src)
		if err := os.WriteFile(proto, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		commands[0] = append(commands[0], "-p", proto, image)
	case "mkfs.btrfs":
		commands[0] = append(commands[0], "-r", src, image)
	case "mkfs.f2fs":
		commands[0] = append(commands[0], image)
		commands = append(commands, []string{"sload.f2fs", "-f", src, image})
	}
	for _, c := range commands {
		if out, err := exec.Command(need.Program(t, c[0]), c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", c, err, out)
		}
	}
	return image
}

// sources are files of which a small one may lie in its inode.
func sources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	big := make([]byte, 3_000_000)
	rand.NewChaCha8([32]byte{}).Read(big)
	for name, data := range map[string][]byte{"big": big, "small": big[:100]} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestFeatures has the installed GRUB read files from file systems with every
// feature that may be in its way. It is the judge of our check, both with
// grub-fstest to ask and without.
func TestFeatures(t *testing.T) {
	fstest := need.Program(t, "grub-fstest")
	src := sources(t)
	const ext, small, btrfs = 32 << 20, 64 << 20, 128 << 20
	const xfs = 320 << 20
	for _, c := range []struct {
		size    int64
		command string
		reads   bool
	}{
		{ext, "mkfs.ext4", true},
		{ext, "mkfs.ext4 -O encrypt", true},
		{ext, "mkfs.ext4 -O verity", true},
		{ext, "mkfs.ext4 -O meta_bg,^resize_inode", true},
		{ext, "mkfs.ext4 -O mmp", true},
		{ext, "mkfs.ext4 -O quota,project", true},
		{ext, "mkfs.ext4 -O sparse_super2", true},
		{ext, "mkfs.ext4 -O orphan_file", true},
		{ext, "mkfs.ext4 -O metadata_csum_seed", true},
		{ext, "mkfs.ext4 -O large_dir", true},
		{ext, "mkfs.ext4 -O inline_data", false},
		{ext, "mkfs.ext4 -O casefold", false},
		{ext, "mkfs.ext4 -O ea_inode", false},
		{ext, "mkfs.ext4 -O bigalloc", false},
		{xfs, "mkfs.xfs", true},
		{xfs, "mkfs.xfs -i nrext64=1", true},
		{xfs, "mkfs.xfs -m rmapbt=1", true},
		{xfs, "mkfs.xfs -m crc=0", true},
		{xfs, "mkfs.xfs -m crc=0 -n version=ci", false},
		{btrfs, "mkfs.btrfs", true},
		{btrfs, "mkfs.btrfs --csum blake2 --mixed", true},
		{btrfs, "mkfs.btrfs --nodesize 65536 -R free-space-tree", true},
		{small, "mkfs.f2fs", true},
		{small, "mkfs.f2fs -O encrypt,quota", true},
		{small, "mkfs.f2fs -O extra_attr", false},
	} {
		t.Run(c.command, func(t *testing.T) {
			command := strings.Fields(c.command)
			image := made(t, src, c.size, command...)
			judged := true
			for _, name := range []string{"small", "big"} {
				out, err := exec.Command(fstest, image, "cmp", "(loop0)/"+name, filepath.Join(src, name)).CombinedOutput()
				t.Logf("grub-fstest cmp %s: %v %s", name, err, out)
				judged = judged && err == nil
			}
			if judged != c.reads {
				t.Fatalf("the installed GRUB reads it: %t; the table says %t", judged, c.reads)
			}
			fstype := strings.TrimPrefix(command[0], "mkfs.")
			err := checkReadable(t.Context(), fstype, image, grubReads)
			if (err == nil) != judged {
				t.Errorf("our check says %v", err)
			}
			if feature := command[len(command)-1]; err != nil && !strings.Contains(err.Error(), feature[strings.LastIndex(feature, "=")+1:]) {
				t.Errorf("%v: it does not name the feature", err)
			}
			nobody := func(context.Context, string) (bool, error) { return false, errNoFstest }
			if err := checkReadable(t.Context(), fstype, image, nobody); (err == nil) != judged {
				t.Errorf("without grub-fstest our check says %v", err)
			}
		})
	}
}

// TestNewFeatures takes features that no tool here makes.
func TestNewFeatures(t *testing.T) {
	for _, c := range []struct {
		fstype string
		at     int64
		value  byte
		want   doubts
	}{
		{"ext4", 1024 + 0x62, 0x08, doubts{ask: []string{"0x80000"}, old: []string{"0x80000"}}},
		{"xfs", 219, 0x80, doubts{ask: []string{"parent"}, old: []string{"parent"}}},
		{"xfs", 219, 0x20, doubts{ask: []string{"nrext64"}}},
		{"btrfs", 64<<10 + 189, 0x10, doubts{unread: []string{"zoned"}}},
		{"btrfs", 64<<10 + 191, 0x01, doubts{unread: []string{"0x1000000"}}},
	} {
		block := make([]byte, 128<<10)
		block[c.at] = c.value
		got, err := findDoubts(c.fstype, bytes.NewReader(block))
		if fmt.Sprint(got) != fmt.Sprint(c.want) || err != nil {
			t.Errorf("%s with %#x at %d: %+v, %v; want %+v", c.fstype, c.value, c.at, got, err, c.want)
		}
	}
	if _, err := findDoubts("ext4", bytes.NewReader(nil)); err == nil {
		t.Error("an empty device has features")
	}
}

func TestUnreadable(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command(need.Program(t, "mkfs.ext4"), "-q", "-O", "inline_data", image, "16m").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	g, _ := open(t, "")
	stage := boot.Filesystem{Device: image, UUID: ext4.UUID, Type: "ext4", Path: "/stage"}
	err := g.Check(t.Context(), stage)
	if err == nil || !strings.Contains(err.Error(), "inline_data") || !strings.Contains(err.Error(), "mkfs.ext4 -O ^inline_data") {
		t.Errorf("got %v", err)
	}
	stage.Device = ""
	if err := g.Check(t.Context(), stage); err != nil {
		t.Error(err)
	}
}

// The installed GRUB reads a btrfs of several devices, whatever is on which: it looks for
// the others itself.
func TestSeveralDevices(t *testing.T) {
	need.Root(t)
	fstest := need.Program(t, "grub-fstest")
	src := sources(t)
	for profile, devices := range map[string]int{"single": 2, "raid0": 2, "raid1": 2, "raid10": 4, "raid1c3": 3, "raid5": 3} {
		t.Run(profile, func(t *testing.T) {
			var files, loops []string
			for range devices {
				file := filepath.Join(t.TempDir(), "disk")
				if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 128<<20)); err != nil {
					t.Fatal(err)
				}
				out, err := exec.Command("losetup", "--find", "--show", file).Output()
				if err != nil {
					t.Fatal(err)
				}
				loop := strings.TrimSpace(string(out))
				t.Cleanup(func() {
					// btrfs would take the next file system on a device of this number for this one's.
					_ = exec.Command("btrfs", "device", "scan", "--forget", loop).Run()
					_ = exec.Command("losetup", "--detach", loop).Run()
				})
				files, loops = append(files, file), append(loops, loop)
			}
			point := t.TempDir()
			for _, command := range [][]string{
				append([]string{"mkfs.btrfs", "-q", "-f", "-d", profile, "-m", "raid1"}, loops...),
				append([]string{"btrfs", "device", "scan"}, loops...),
				{"mount", "-t", "btrfs", loops[0], point},
				{"cp", "-r", src + "/.", point},
				{"umount", point},
			} {
				if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
					t.Fatalf("%q: %v: %s", command, err, out)
				}
			}
			for _, name := range []string{"small", "big"} {
				args := append([]string{"-c", strconv.Itoa(devices)}, files...)
				if out, err := exec.Command(fstest, append(args, "cmp", "(loop0)/"+name, filepath.Join(src, name))...).CombinedOutput(); err != nil {
					t.Errorf("%s: %v: %s", name, err, out)
				}
			}
			if err := checkReadable(t.Context(), "btrfs", files[0], grubReads); err != nil {
				t.Errorf("our check says %v", err)
			}
		})
	}
}
