package ledger

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
	"github.com/gitboot/gitboot/initramfs/early/probe"
	"github.com/gitboot/gitboot/tests/need"
)

func block(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var b env.Block
	for i := 0; i < len(pairs); i += 2 {
		if err := b.Set(pairs[i], pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	data, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Whatever the block was, the entry is good in it, at the same place of the disk,
// and within the first sector; unless it counts another entry by now.
func TestMarkGood(t *testing.T) {
	for name, c := range map[string]struct {
		before []byte
		good   string
	}{
		"trying":  {block(t, "gitboot_once", "x", "gitboot_trying", "e", "gitboot_left", "2"), "e"},
		"good":    {block(t, "gitboot_trying", "e", "gitboot_good", "e"), "e"},
		"older":   {block(t, "gitboot_trying", "e", "gitboot_good", "d"), "e"},
		"another": {block(t, "gitboot_trying", "f", "gitboot_left", "3"), ""},
		"nothing": {block(t), "e"},
		"short":   {[]byte("# GRUB Environment Block\ngitboot_tr"), "e"},
		"long":    {append(block(t), '#'), "e"},
		"garbage": {bytes.Repeat([]byte{0xff, 0}, 512), "e"},
		"empty":   {[]byte{}, "e"},
		"missing": {nil, "e"},
	} {
		file := filepath.Join(t.TempDir(), "gitboot.env")
		if c.before != nil {
			if err := os.WriteFile(file, c.before, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := os.Stat(file)
		if err := markGood(file, "e"); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b, err := env.Parse(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		after, err := os.Stat(file)
		if got, _ := b.Get(deployment.BlockGood); got != c.good || err != nil || before != nil && !os.SameFile(before, after) || len(bytes.Trim(data[512:], "#")) > 0 {
			t.Errorf("%s: %q is good, in %q, %v", name, got, data, err)
		}
		if once, _ := b.Get("gitboot_once"); name == "trying" && once != "x" {
			t.Errorf("%s: what is asked for once is %q", name, once)
		}
	}
}

// disk is a loop device with an ext4 that has a stage in it.
func disk(t *testing.T) blockdev.Device {
	t.Helper()
	need.Root(t)
	need.Programs(t, "mke2fs", "losetup")
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "top/stage/boot"), 0o700); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "image")
	if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", "-d", filepath.Join(dir, "top"), image, "8M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return attach(t, image)
}

// attach makes a loop device of an image.
func attach(t *testing.T, image string) blockdev.Device {
	t.Helper()
	out, err := exec.Command("losetup", "--find", "--show", image).Output()
	need.Done(t, err, out)
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return blockdev.Device{Path: device, FS: probe.Filesystem{Type: "ext4"}}
}

// mounted mounts a device until the test ends.
func mounted(t *testing.T, device blockdev.Device, flags uintptr) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := device.Mount(dir, flags); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
	return dir
}

// Of a machine whose power is cut as soon as a record is written, the disk has it, the
// first of a boot and the one that replaces it.
func TestRecordsOutliveCuts(t *testing.T) {
	device := disk(t)
	image, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device.Path), "loop/backing_file"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Ledger{}.Record("", "")
	if err != nil {
		t.Fatal(err)
	}
	stage := filepath.Join(mounted(t, device, 0), "stage")
	for _, c := range []struct {
		verdict string
		write   func(string, deployment.Boot) error
	}{{"", begin}, {deployment.BootGood, write}} {
		b.Verdict = c.verdict
		if err := c.write(stage, b); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(strings.TrimSpace(string(image)))
		if err != nil {
			t.Fatal(err)
		}
		cut := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(cut, data, 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := deployment.ReadBoot(filepath.Join(mounted(t, attach(t, cut), 0), "stage"), b.ID)
		if err != nil || found.Verdict != c.verdict || !found.Started.Equal(b.Started) {
			t.Errorf("with the verdict %q there is %+v, %v", c.verdict, found, err)
		}
	}
}

// A stage that is not mounted, as after a copy to memory, or mounted read-only
// somewhere, is written to where nobody sees it.
func TestWriteApart(t *testing.T) {
	device := disk(t)
	l := Ledger{Device: device, Cmdline: deployment.Cmdline{
		Stage: deployment.Location{Device: "UUID=x", Path: "/stage"}, Deployment: strings.Repeat("d", 64), Entry: "e", Trying: true,
	}}
	b, err := l.Record(deployment.BootGood, "")
	if err != nil {
		t.Fatal(err)
	}
	if b.Seconds <= 0 || b.Started.IsZero() || !deployment.IsBootID(b.ID) {
		t.Errorf("the record is %+v", b)
	}
	b.Warnings = []string{"first"}
	if err := l.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), device.Path) {
		t.Errorf("it stays mounted, %v", err)
	}

	mnt := mounted(t, device, unix.MS_RDONLY)
	stage := filepath.Join(mnt, "stage")
	if now, err := deployment.ReadBoot(stage, b.ID); err != nil || now.Warnings[0] != "first" {
		t.Errorf("%+v, %v", now, err)
	}
	b.Warnings[0] = "second"
	for _, err := range []error{l.Alone(b), l.MarkGood(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if now, err := deployment.ReadBoot(stage, b.ID); err != nil || now.Warnings[0] != "second" {
		t.Errorf("%+v, %v", now, err)
	}
	if data, err := os.ReadFile(filepath.Join(stage, deployment.BlockFile)); err != nil || !strings.Contains(string(data), "gitboot_good=e\n") {
		t.Errorf("%q, %v", data, err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(mnt, &st); err != nil || st.Flags&unix.ST_RDONLY == 0 {
		t.Errorf("it is writable afterwards, %v", err)
	}
}

// What a kernel left goes to its boot's record; where there is none, it has one.
func TestCrashed(t *testing.T) {
	stage, random := t.TempDir(), t.TempDir()
	id := func(c string) string { return strings.Repeat(c, 8) + "-0000-4000-8000-000000000000" }
	for name, text := range map[string]string{"boot_id": id("3"), "uuid": id("9")} {
		if err := os.WriteFile(filepath.Join(random, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for n, c := range []string{"1", "2", "3"} {
		if err := write(stage, deployment.Boot{ID: id(c), Deployment: strings.Repeat("d", 64), Trying: true, Started: now.Add(time.Duration(n-3) * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		at   time.Time
		want string
	}{{now.Add(-2 * time.Hour), id("2")}, {now.Add(-90 * time.Minute), id("9")}} {
		got, err := crashed(stage, deployment.Crash{At: c.at, Text: "[    1.0] Kernel panic - not syncing: x\n"}, random)
		if err != nil || got != c.want {
			t.Fatalf("it is noted of %s, %v; want %s", got, err, c.want)
		}
		b, err := deployment.ReadBoot(stage, got)
		if err != nil || deployment.Ending(b.Crash) != "Kernel panic - not syncing: x" || (b.Deployment != "") != (got == id("2")) || b.Verdict != "" {
			t.Errorf("%+v, %v", b, err)
		}
	}
}
