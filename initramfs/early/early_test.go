package early

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/modindex"
	"github.com/gitboot/gitboot/tests/need"
)

func TestParseUevent(t *testing.T) {
	got := parseUevent("add@/devices/vda\x00ACTION=add\x00SUBSYSTEM=block\x00DEVNAME=vda\x00MODALIAS=a=b\x00")
	want := uevent{"ACTION": "add", "SUBSYSTEM": "block", "DEVNAME": "vda", "MODALIAS": "a=b"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// newTestModules makes modules whose files are not there: what is loaded
// shows by the errors that are kept.
func newTestModules(t *testing.T) *modules {
	x := &modindex.Index{Dir: t.TempDir(), BuiltIn: []string{"loop"},
		Modules: []modindex.Module{{Path: "virtio.ko"}, {Path: "virtio_blk.ko", Before: []int{0}}, {Path: "ahci.ko", After: []int{3}}, {Path: "sd_mod.ko"}},
		Aliases: []modindex.Alias{{Module: 1, Pattern: "virtio:d00000002v*"}, {Module: 2, Pattern: "pci:v*"}, {Module: 0, Pattern: "acpi*:X:*"}}}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { null.Close() })
	return newModules(x, &log{file: null}, "")
}

func TestSlowDriversWait(t *testing.T) {
	m := newTestModules(t)
	m.request("pci:v1")
	if len(m.deferred) != 1 {
		t.Fatal("a slow driver is not put off")
	}
	m.mu.Lock()
	m.busy = 1
	m.mu.Unlock()
	if m.release() {
		t.Fatal("slow drivers were let go while quick ones load")
	}
	m.done()
	if m.release() {
		t.Fatal("slow drivers were let go at once after quick ones")
	}
	m.idle = time.Now().Add(-quickSettle)
	if !m.release() || len(m.deferred) != 0 {
		t.Fatal("slow drivers were not let go")
	}
}

func TestLoadNamed(t *testing.T) {
	m := newTestModules(t)
	if err := m.loadNamed("loop"); err != nil {
		t.Errorf("a built-in module: %v", err)
	}
	if err := m.loadNamed("ext4"); err == nil || !strings.Contains(err.Error(), "ext4") {
		t.Errorf("a module that isn't carried: %v", err)
	}
	if err := m.loadNamed("ahci"); err == nil || !strings.Contains(err.Error(), "ahci.ko") {
		t.Errorf("a module whose file is gone: %v", err)
	}
}

func TestBuses(t *testing.T) {
	if d := cmp.Diff([]string{"virtio", "pci", "acpi", "platform"}, newTestModules(t).buses()); d != "" {
		t.Error(d)
	}
}

func TestFindInit(t *testing.T) {
	dir := t.TempDir()
	program, plain := filepath.Join(dir, "init"), filepath.Join(dir, "plain")
	for name, mode := range map[string]os.FileMode{program: 0o755, plain: 0o644} {
		if err := os.WriteFile(name, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := findInit("quiet init=" + program + " -- init=/x"); got != program {
		t.Errorf("init= gives %q, %v", got, err)
	}
	if got, err := findInit("init=" + plain); err == nil || !strings.Contains(err.Error(), plain) {
		t.Errorf("what can't be executed gives %q, %v", got, err)
	}
}

func TestCopyFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("layer"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "deep/er/b")
	if err := copyFile(filepath.Join(dir, "a"), to); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(to); string(got) != "layer" || err != nil {
		t.Errorf("copied %q, %v", got, err)
	}
}

// TestAttach attaches a real loop device.
func TestAttach(t *testing.T) {
	need.Root(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(strings.Repeat("block of a disk ", 64)), 0o600); err != nil {
		t.Fatal(err)
	}
	loop, err := attach(file)
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	got := make([]byte, 16)
	if _, err := loop.ReadAt(got, 512); err != nil || string(got) != "block of a disk " {
		t.Errorf("the loop device holds %q, %v", got, err)
	}
	if text, err := os.ReadFile("/sys/class/block/" + filepath.Base(loop.Name()) + "/ro"); err == nil && strings.TrimSpace(string(text)) != "1" {
		t.Error("the loop device can be written")
	}
}

// What the command line has for a module is given to it, as modprobe does.
func TestParameters(t *testing.T) {
	words := deployment.Fields(`quiet nvme-core.io_timeout=5 nvme_core.x="a b" nvme.y=1 nvme_core -- nvme_core.z=1`)
	for module, want := range map[string]string{"nvme_core": `io_timeout=5 "x=a b"`, "nvme": "y=1", "core": "", "quiet": ""} {
		if got := parameters(module, words); got != want {
			t.Errorf("%s: %q, want %q", module, got, want)
		}
	}
}
