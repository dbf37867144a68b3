package initramfs_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/need"
)

const (
	stageUUID  = "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a"
	stageLabel = "gitboot-stage"
)

// initScript is the init of the test's image: it says what it sees.
const initScript = `#!/bin/busybox sh
b=/bin/busybox
say() { echo "T: $*" > /dev/console; }
say "name $0 args $*"
say "root $($b awk '$2 == "/" {print $3}' /proc/mounts)"
say "layered $($b cat /etc/layered)"
[ -e /etc/hidden ] && say "hidden is there" || say "hidden is gone"
$b ls /opaque | while read f; do say "opaque has $f"; done
say "at-boot $($b cat /etc/at-boot)"
[ -e /written ] && say "found $($b wc -l < /written | $b tr -d ' ') written before"
echo x >> /written && say "written"
say "stage $($b awk '$2 == "/run/initramfs/gitboot" {print $3, substr($4, 1, 2)}' /proc/mounts)"
$b grep -q t.reset /proc/cmdline && printf '/etc\nwritten\n' > /run/initramfs/gitboot-root/test/reset
echo x 2> /dev/null > /run/initramfs/gitboot/x && say "the stage can be written to"
[ -d /run/initramfs/gitboot/deployments ] && say "stage has deployments"
say "console $(readlink /proc/self/fd/2) devices $($b ls /sys/class | $b wc -l | $b tr -d ' ')"
say end
$b sync
$b poweroff -f
`

// TestBoot boots a Debian kernel in QEMU from a stage made by hand.
func TestBoot(t *testing.T) {
	need.Long(t)
	need.Programs(t, "qemu-system-x86_64", "mke2fs", "tar2sqfs", "tar", "apt-get", "apt-cache", "dpkg-deb")
	s := makeStage(t, initramfs.Options{})

	t.Run("by UUID", func(t *testing.T) {
		log := s.boot(t, "UUID="+strings.ToUpper(stageUUID), "single")
		want(t, log, "T: name /sbin/init args single\n", "T: root overlay\n", "T: layered upper\n",
			"T: hidden is gone\n", "T: opaque has upper\n", "T: at-boot ran\n", "T: written\n",
			"T: stage ext4 ro\n", "T: stage has deployments\n", "T: end\n")
		not(t, log, "opaque has lower", "Kernel panic")
		t.Log(regexp.MustCompile(`gitboot-init: entering .*`).FindString(log))
	})
	t.Run("by label, to memory, another init", func(t *testing.T) {
		log := s.boot(t, "LABEL="+stageLabel, "gitboot.ram=1 init=/sbin/other")
		want(t, log, "T: name /sbin/other args", "T: layered upper\n", "T: stage \n", "T: end\n")
	})
	t.Run("what is written is kept beside the stage", func(t *testing.T) {
		kept := s.with(keptRoot)
		log := kept.boot(t, "UUID="+stageUUID, "")
		want(t, log, "T: root overlay\n", "T: hidden is gone\n", "T: written\n", "T: stage ext4 ro\n", "T: end\n")
		not(t, log, "written before", "the stage can be written to")
		want(t, kept.boot(t, "UUID="+stageUUID, "gitboot.ram=1 t.reset"), "T: found 1 written before\n", "T: end\n")
		log = kept.boot(t, "UUID="+stageUUID, "")
		want(t, log, "T: at-boot ran\n", "T: written\n", "T: end\n")
		not(t, log, "written before", "giving up")
		want(t, kept.boot(t, "UUID="+stageUUID, ""), "T: found 1 written before\n")
	})
	t.Run("what is written goes to another disk and is wiped", func(t *testing.T) {
		wiped := s.with(wipedRoot)
		for range 2 {
			log := wiped.boot(t, "UUID="+stageUUID, "")
			want(t, log, "T: written\n", "T: stage ext4 ro\n", "T: end\n")
			not(t, log, "written before")
		}
		out, err := exec.Command("debugfs", "-R", "cat top/test/wiped/upper/written", s.other).Output()
		if err != nil || string(out) != "x\n" {
			t.Errorf("the other disk has %q: %v", out, err)
		}
	})
	t.Run("a trial that fails reboots", func(t *testing.T) {
		log := s.boot(t, "UUID="+stageUUID, "gitboot.trying=1 gitboot.deployment="+strings.Repeat("0", 64))
		want(t, log, "gitboot-init: cannot boot deployment 0000", "falls back")
		not(t, log, "T: name", "Kernel panic")
	})
}

// Deployments of a test's stage beside the first one.
const (
	keptRoot = iota
	wipedRoot
)

var roots = []deployment.Root{
	keptRoot:  {Upper: &deployment.Upper{Path: "/gitboot-root", Persistent: true}},
	wipedRoot: {Upper: &deployment.Upper{Device: "LABEL=other", Path: "/top"}},
}

// with is the stage with another deployment booted, on its disk itself.
func (s testStage) with(root int) testStage {
	s.id = s.ids[root]
	return s
}

func want(t *testing.T, log string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(log, text) {
			t.Errorf("the console doesn't show %q", text)
		}
	}
	if t.Failed() {
		t.Log(log[max(0, len(log)-8000):])
	}
}

func not(t *testing.T, log string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(log, text) {
			t.Errorf("the console shows %q", text)
		}
	}
}

// A testStage is a disk with a stage and one deployment.
type testStage struct {
	disk, other, kernel, initramfs, id string
	// ids are deployments that differ in their root.
	ids []string
	// verify is how layers are verified, "" not at all; damage changes an object
	// that was named.
	verify  string
	damage  func(data []byte)
	options initramfs.Options
}

func makeStage(t *testing.T, options initramfs.Options) testStage {
	t.Helper()
	dir := t.TempDir()
	kernel := debianPackage(t, "linux-image-cloud-amd64")

	lower, upper := filepath.Join(dir, "lower.sqfs"), filepath.Join(dir, "upper.sqfs")
	squashDir(t, lower, kernel)
	hook := filepath.Join(dir, "hook.sqfs")
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatalf("%v; run tests/deps.sh test", err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	middle := filepath.Join(dir, "middle.sqfs")
	squash(t, middle, entry{name: "bin/busybox", mode: 0o755, data: string(program)},
		entry{name: "sbin/init", mode: 0o755, data: initScript}, entry{name: "sbin/other", mode: 0o755, data: initScript},
		entry{name: "bin/readlink", link: "busybox"}, entry{name: "usr/lib/firmware/amd-ucode/microcode_amd.bin", data: "for no processor"},
		entry{name: "etc/layered", data: "lower"}, entry{name: "etc/hidden", data: "x"}, entry{name: "opaque/lower", data: "x"})
	squash(t, upper, entry{name: "etc/layered", data: "upper"}, entry{name: "etc/hidden", whiteout: true},
		entry{name: "opaque/", opaque: true}, entry{name: "opaque/upper", data: "x"})
	squash(t, hook, entry{name: "usr/at-boot.sh", mode: 0o755, data: "#!/bin/busybox sh\necho ran > /etc/at-boot\n"})

	s := testStage{options: options, kernel: filepath.Join(dir, "vmlinuz"), initramfs: filepath.Join(dir, "initramfs"), disk: filepath.Join(dir, "disk.img")}
	s.build(t, []string{lower, middle, upper, hook})
	s.publish(t, dir, lower, middle, upper, hook)
	return s
}

// build takes the kernel out of the layers and makes its initramfs.
func (s *testStage) build(t *testing.T, layers []string) {
	t.Helper()
	tree, err := rootfs.OpenTree(layers)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	k, err := initramfs.FindKernel(tree, "")
	if err != nil {
		t.Fatal(err)
	}
	in, err := tree.OpenFile(k.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var kernel bytes.Buffer
	if _, err := kernel.ReadFrom(in); err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.kernel, kernel.Bytes())
	var out bytes.Buffer
	s.options.Init, s.options.Verity = buildInit(t), s.verify != ""
	stats, err := initramfs.Build(t.Context(), tree, k, s.options, &out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("initramfs of %s: %+v", k.Version, stats)
	writeFile(t, s.initramfs, out.Bytes())
}

// publish writes objects and manifest, and makes a disk of them.
func (s *testStage) publish(t *testing.T, dir, lower, middle, upper, hook string) {
	t.Helper()
	top := filepath.Join(dir, "disk")
	object := func(file string) deployment.Object {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o := deployment.Object{SHA256: deployment.ID(data), Size: int64(len(data))}
		if s.damage != nil {
			s.damage(data)
		}
		writeFile(t, filepath.Join(top, "var/gitboot", o.Path()), data)
		return o
	}
	h := object(hook)
	m := &deployment.Manifest{Version: deployment.Version, Image: "test", KernelVersion: "test",
		Kernel: object(s.kernel), Initramfs: object(s.initramfs),
		Layers: []deployment.Object{object(lower), object(middle), object(upper)}, Hooks: &h,
		AtBoot: []string{"/usr/at-boot.sh"}, Root: deployment.Root{TmpfsSize: "64m"}}
	if s.verify != "" {
		m.Verity = &deployment.Verity{Mode: s.verify}
		for _, file := range []string{lower, middle, upper, hook} {
			root := hashTree(t, file)
			m.Verity.Trees = append(m.Verity.Trees, deployment.Tree{Root: root, Object: object(file + ".tree")})
		}
	}
	s.id = manifest(t, top, m)
	for _, m.Root = range roots {
		s.ids = append(s.ids, manifest(t, top, m))
	}
	run(t, exec.Command("mke2fs", "-q", "-t", "ext4", "-U", stageUUID, "-L", stageLabel, "-d", top, s.disk, "256M"))
	s.other = s.disk + ".other"
	run(t, exec.Command("mke2fs", "-q", "-t", "ext4", "-L", "other", s.other, "16M"))
}

// manifest writes one and returns its id.
func manifest(t *testing.T, top string, m *deployment.Manifest) string {
	t.Helper()
	data, err := m.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	id := deployment.ID(data)
	writeFile(t, filepath.Join(top, "var/gitboot/deployments", id+".json"), data)
	return id
}

// boot starts the machine and returns what its console showed once it is off.
func (s *testStage) boot(t *testing.T, device, args string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmdline := fmt.Sprintf("console=ttyS0 panic=1 gitboot.stage=%s:/var/gitboot gitboot.deployment=%s %s", device, s.id, args)
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-smp", "2",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", s.kernel, "-initrd", s.initramfs,
		"-drive", "file="+s.disk+",if=virtio,format=raw", "-drive", "file="+s.other+",if=virtio,format=raw", "-append", cmdline)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("running QEMU: %v", err)
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}
