package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/disk/ext4"
	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/tree"
	"github.com/gitboot/gitboot/tests/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

const uuid = "01234567-89ab-8def-8123-456789abcdef"

// source is a disk of 40 MiB whose one partition grows.
func source(t *testing.T) *Source {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk.img"))
	must(t, err)
	defer f.Close()
	const size, length = 40 * mib, 38 * mib
	table := gpt.Table{UUID: uuid, Partitions: []gpt.Partition{{Type: "0fc63daf-8483-4772-8e79-3d69d8477de4", UUID: uuid, Name: "stage", Start: mib, Length: length, Grow: true}}}
	text := make([]byte, 6*mib)
	rand.NewChaCha8([32]byte{}).Read(text)
	fs := tree.Filesystem{UUID: uuid, Label: "stage", Seed: uuid, Time: time.Unix(1e9, 0), Files: []tree.File{{Path: "/file", Text: text, Mode: 0o600}}}
	made := piece.Disk{Size: size, Table: table}
	made.Text(0, []byte("boot code"))
	must(t, ext4.Lay(t.Context(), fs, &made.List, mib, length))
	must(t, made.Fill(t.Context(), f, func(int64) {}))
	must(t, made.Close())
	s, err := OpenSource(f.Name())
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// target is a file that is full of something else.
func target(t *testing.T, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "target")
	must(t, os.WriteFile(path, bytes.Repeat([]byte("old data"), size/8), 0o600))
	return path
}

// loop makes a disk of a file.
func loop(t *testing.T, path string) string {
	t.Helper()
	need.Root(t)
	dev := run(t, "losetup", "--find", "--show", path)
	t.Cleanup(func() { run(t, "losetup", "--detach", dev) })
	return dev
}

func open(t *testing.T, path string) *Device {
	t.Helper()
	d, err := Open(path)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

// sound reports that a disk holds what was written, grown to its size.
func sound(t *testing.T, path string, size int64) {
	t.Helper()
	if out := run(t, "sgdisk", "-v", path); !strings.Contains(out, "No problems found") {
		t.Error(out)
	}
	run(t, "e2fsck", "-fn", path+"?offset=1048576")
	if out := run(t, "dumpe2fs", "-h", path+"?offset=1048576"); !strings.Contains(out, fmt.Sprintf("Block count:              %d\n", (size-2*mib)/4096)) {
		t.Errorf("the file system did not grow: %s", out)
	}
	text := make([]byte, 6*mib)
	rand.NewChaCha8([32]byte{}).Read(text)
	got, err := exec.Command("debugfs", "-R", "cat /file", path+"?offset=1048576").Output()
	if err != nil || !bytes.Equal(got, text) {
		t.Errorf("the file on it is another: %v", err)
	}
	head := make([]byte, 9)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	if _, err := f.ReadAt(head, 0); err != nil || string(head) != "boot code" {
		t.Errorf("it begins with %q", head)
	}
}

// A disk is written whole, and grows to the size of where it is written.
func TestWrite(t *testing.T) {
	const size = 70 * mib
	s := source(t)
	for what, path := range map[string]string{"a file": target(t, size), "a device": loop(t, target(t, size))} {
		t.Run(what, func(t *testing.T) {
			d := open(t, path)
			if d.Size != size || !strings.Contains(d.Words(), "73.4 MB, without a GPT") {
				t.Errorf("it is %s", d.Words())
			}
			must(t, d.Write(t.Context(), s.Disk, nil))
			must(t, d.Close())
			sound(t, path, size)
			again := open(t, path)
			if !strings.HasSuffix(again.Words(), "with a partition: stage") {
				t.Errorf("afterwards it is %s", again.Words())
			}
		})
	}
}

// What is meant is found among the disks that there are, or nothing is.
func TestChoose(t *testing.T) {
	all := []Known{{"/dev/sda", "Old", "S4X1", 500_107_862_016}, {"/dev/sdb", "", "S4X2", 2_000_398_934_016}, {"/dev/vda", "", "", 400_000_000_000}}
	for want, declared := range map[string]layout.Disk{
		"/dev/sdb":             {Serial: "*X2"},
		"/dev/vda":             {Size: "<500GB"},
		"/dev/disk/by-id/x":    {Device: "/dev/disk/by-id/x"},
		"which disk":           {},
		"2 disks have the ser": {Serial: "S4*"},
		"0 disks have the ser": {Serial: "*Z"},
		"3 disks have a size ": {Size: ">1GB"},
	} {
		got, err := Choose(declared, all)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%+v is %s, want %s", declared, got, want)
		}
		if err != nil && !strings.HasSuffix(got, "\n  /dev/sda: 500.1 GB, Old, S4X1\n  /dev/sdb: 2.0 TB, S4X2\n  /dev/vda: 400.0 GB") {
			t.Errorf("the disks are not listed: %s", got)
		}
	}
}

// What is on a disk is told, whatever made it.
func TestContents(t *testing.T) {
	d := open(t, loop(t, target(t, 70*mib)))
	if got := d.Contents(); len(got) > 0 {
		t.Errorf("of nothing that is known it is said %q", got)
	}
	must(t, d.Write(t.Context(), source(t).Disk, nil))
	must(t, d.look())
	if got := strings.Join(d.Contents(), "\n"); got != "partition 1: 71.3 MB, stage, ext4" {
		t.Errorf("it is said %q", got)
	}
}

// What was cut short has no partition table, and can be written again.
func TestCut(t *testing.T) {
	const size = 40 * mib
	path := target(t, size)
	s := source(t)
	d := open(t, path)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the plug was pulled"))
	if err := d.Write(ctx, s.Disk, nil); err == nil || !strings.Contains(err.Error(), "the plug was pulled; what is on "+d.Path+" boots nothing: write it again") {
		t.Errorf("it is said: %v", err)
	}
	if _, err := gpt.Read(d.file, size); !errors.Is(err, gpt.ErrNone) {
		t.Errorf("it has a partition table: %v", err)
	}
	must(t, d.Write(t.Context(), s.Disk, nil))
	sound(t, path, size)
}

// What differs when it is read back is found.
func TestCompare(t *testing.T) {
	s, d := source(t), open(t, target(t, 40*mib))
	compared := func() (err error) {
		for _, p := range s.Pieces {
			err = errors.Join(err, d.parts(p, d.compare))
		}
		return err
	}
	for _, p := range s.Pieces {
		must(t, d.parts(p, d.put))
	}
	must(t, compared())
	_, err := d.file.WriteAt([]byte{1}, 3*mib+17)
	must(t, err)
	if compared() == nil {
		t.Error("a byte that changed is not found")
	}
}

// Nobody's disk is written to who uses it, and nothing that is no disk.
func TestRefused(t *testing.T) {
	s := source(t)
	refused := func(path, why string) {
		t.Helper()
		d, err := Open(path)
		if err == nil {
			err = errors.Join(d.Fits(s.Disk), d.Close())
		}
		if !errors.As(err, new(*RefusedError)) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s is refused because of %v, want %q", path, err, why)
		}
	}
	refused("/dev/null", "is neither a disk nor a plain file")
	refused(t.TempDir(), "is neither a disk nor a plain file")
	refused(target(t, 30*mib), "has 31.5 MB, and what is to be written 41.9 MB; take a larger disk")
	if _, err := OpenSource(target(t, 64)); err == nil || !strings.Contains(err.Error(), "is no disk in a file") {
		t.Errorf("64 bytes are a disk: %v", err)
	}
	qcow := filepath.Join(t.TempDir(), "q")
	must(t, os.WriteFile(qcow, append([]byte("QFI\xfb"), make([]byte, 4*mib)...), 0o600))
	if _, err := OpenSource(qcow); err == nil || !strings.Contains(err.Error(), "qemu-img convert") {
		t.Errorf("QEMU's format is not known: %v", err)
	}
	dev := loop(t, target(t, 50*mib))
	run(t, "mke2fs", "-q", "-F", dev)
	mnt := t.TempDir()
	run(t, "mount", dev, mnt)
	refused(dev, "is in use: "+dev+" is mounted on "+mnt)
	run(t, "umount", mnt)
	open(t, dev)
	refused(dev, "is in use")
}
