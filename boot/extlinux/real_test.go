package extlinux

import (
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/tests/need"
)

// uBoot is U-Boot for QEMU's arm64 machine, where Debian's u-boot-qemu has it.
const uBoot = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"

// image is a kernel as far as U-Boot looks (the kernel's
// Documentation/arch/arm64/booting.rst), which switches the machine off.
func image() []byte {
	b := make([]byte, 0x1000)
	for at, word := range map[int]uint32{
		0x00: 0x14000010, // b 0x40
		0x10: 0x1000,     // its size
		0x18: 0xa,        // pages of 4 KiB, anywhere in memory
		0x38: 0x644d5241, // "ARM\x64"
		0x40: 0x52800100, // mov w0, #8
		0x44: 0x72b08000, // movk w0, #0x8400, lsl #16: PSCI's SYSTEM_OFF
		0x48: 0xd4000002, // hvc #0
		0x4c: 0x14000000, // b .
	} {
		binary.LittleEndian.PutUint32(b[at:], word)
	}
	return b
}

// A real U-Boot boots what the model says, with the arguments that the entry has.
func TestUBoot(t *testing.T) {
	need.Long(t)
	need.Programs(t, "qemu-system-aarch64", "mke2fs", "sfdisk")
	m := menu()
	first := m.Images[0].Entries[0]
	seconds := 1
	m.Timeout = &seconds
	for what, c := range map[string]struct {
		alone bool
		lost  string
		mode  string
	}{
		"the default":          {mode: boot.ModeManaged},
		"its kernel is lost":   {mode: boot.ModeManaged, lost: first.Kernel, alone: true},
		"another system's own": {mode: boot.ModeMenu},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l, m := open(t), m
			if c.alone {
				must(t, os.Remove(l.Where()))
			}
			if m.Mode = c.mode; c.mode == boot.ModeMenu {
				m.Default, m.Fallback, m.Timeout = "", "", nil
			}
			must(t, l.Publish(t.Context(), m))
			want := "root=/dev/mmcblk0p2 ro"
			if e := m.Entry(model(t, l, c.lost)); e != nil {
				want = "quiet " + e.Args[1]
			}
			if got := booted(t, l, m, c.lost); got != want {
				t.Errorf("it boots %q, want %q", got, want)
			}
		})
	}
}

// booted are the arguments of what U-Boot boots.
func booted(t *testing.T, l *Loader, m boot.Menu, lost string) string {
	t.Helper()
	top, disk := t.TempDir(), filepath.Join(t.TempDir(), "disk")
	files := map[string][]byte{"vmlinuz-6.1.0-9-arm64": image(), "initrd.img-6.1.0-9-arm64": []byte("initramfs")}
	for _, e := range m.All() {
		if e.Kernel != lost {
			files["extlinux/"+copyOf(e.Kernel)] = image()
		}
		files["extlinux/"+copyOf(e.Initrd)] = []byte("initramfs")
	}
	conf, err := os.ReadFile(l.Where())
	must(t, err)
	files["extlinux/"+confFile] = conf
	for name, data := range files {
		path := filepath.Join(top, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, data, 0o600))
	}
	tool(t, "truncate", "-s", "40M", disk)
	tool(t, "sh", "-c", "printf 'label: gpt\nstart=2048\n' | sfdisk -q "+disk)
	tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-d", top, "-E", "offset=1048576", disk, "32M")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a57", "-accel", "tcg", "-m", "256", "-bios", uBoot,
		"-nodefaults", "-display", "none", "-serial", "stdio", "-nic", "none", "-no-reboot",
		"-drive", "if=none,id=disk,format=raw,file="+disk, "-device", "virtio-blk-device,drive=disk").CombinedOutput()
	found := regexp.MustCompile(`append: ([^\r\n]*)[^§]*Starting kernel`).FindAllSubmatch(out, -1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%v: %q", err, out)
	}
	all := regexp.MustCompile(`append: ([^\r\n]*)`).FindAllSubmatch(out, -1)
	return string(all[len(all)-1][1])
}

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	need.Done(t, err, out)
}
