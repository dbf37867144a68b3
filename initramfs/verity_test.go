package initramfs_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage/hashtree"
	"github.com/gitboot/gitboot/tests/need"
)

// hashTree makes a file's hash tree beside it and returns the root.
func hashTree(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file + ".tree")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, root, err := hashtree.Write(t.Context(), f, bytes.NewReader(data), int64(len(data)), deployment.ID(data))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// readInit reads two large files, of which one may be damaged, and says how long
// the whole one took.
const readInit = `#!/bin/busybox sh
b=/bin/busybox
say() { echo "TEST: $*" > /dev/console; }
say "mounted from $($b ls /sys/block | $b grep -c dm-) verified devices"
read up0 idle < /proc/uptime
say "whole $($b sha256sum < /whole | $b cut -c1-16)"
read up1 idle < /proc/uptime
say "from $up0 to $up1 s"
$b cat /data > /sum 2> /why && say "read $($b sha256sum < /sum | $b cut -c1-16)" || say "cannot read: $($b cat /why)"
say end
$b poweroff -f
`

// A byte that was changed in a layer is handed out where layers are not verified,
// reported where they are to be, and never handed out where that is enforced:
// whether it is in what is mounted or in what is read later.
func TestVerity(t *testing.T) {
	need.Long(t)
	need.Programs(t, "qemu-system-x86_64", "mke2fs", "tar2sqfs", "tar", "apt-get", "apt-cache", "dpkg-deb")
	kernel := debianPackage(t, "linux-image-cloud-amd64")
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v; run tests/deps.sh test", err)
	}
	whole, content := make([]byte, 16<<20), make([]byte, 4<<20)
	random := rand.NewChaCha8([32]byte{1})
	for _, b := range [][]byte{whole, content} {
		if _, err := random.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	const probe = 3 << 20
	inData := func(data []byte) {
		if i := bytes.Index(data, content[probe:probe+64]); i >= 0 {
			data[i] ^= 1
		}
	}
	inHead := func(data []byte) { // of the layer that has the file: its last block, with the id table
		if bytes.Contains(data, content[probe:probe+64]) {
			for i := len(data) - 4096; i < len(data); i++ {
				data[i] ^= 0xff
			}
		}
	}
	same, changed := "TEST: whole "+deployment.ID(whole)[:16], "TEST: read "+deployment.ID(content)[:16]
	for name, c := range map[string]struct {
		verify, args string
		damage       func([]byte)
		want, not    []string
	}{
		"off":     {"", "", inData, []string{same, "TEST: read ", "from 0 verified"}, []string{changed, "verity"}},
		"report":  {"report", "", inData, []string{same, "TEST: read ", "from 4 verified", "data block", "is corrupted"}, []string{changed}},
		"enforce": {"enforce", "", inData, []string{same, "from 4 verified", "TEST: cannot read: ", "Input/output error", "is corrupted"}, []string{"TEST: read"}},
		"mount":   {"enforce", "gitboot.trying=1", inHead, []string{"cannot boot deployment", "mounting layer 2 of 4: a block of it was changed or is damaged", "falls back"}, []string{"TEST: "}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := testStage{kernel: filepath.Join(dir, "vmlinuz"), initramfs: filepath.Join(dir, "initramfs"), disk: filepath.Join(dir, "disk.img"), verify: c.verify, damage: c.damage}
			lower, middle, upper, hook := filepath.Join(dir, "lower"), filepath.Join(dir, "middle"), filepath.Join(dir, "upper"), filepath.Join(dir, "hook")
			squashDir(t, lower, kernel)
			squash(t, middle, entry{name: "bin/busybox", mode: 0o755, data: string(busybox)}, entry{name: "sbin/init", mode: 0o755, data: readInit}, entry{name: "whole", data: string(whole)}, entry{name: "data", data: string(content)})
			squash(t, upper, entry{name: "etc/layered", data: "upper"})
			squash(t, hook, entry{name: "usr/at-boot.sh", mode: 0o755, data: "#!/bin/busybox sh\n"})
			s.build(t, []string{lower, middle, upper, hook})
			s.publish(t, dir, lower, middle, upper, hook)
			log := s.boot(t, "UUID="+stageUUID, c.args)
			want(t, log, c.want...)
			not(t, log, c.not...)
			for _, line := range regexp.MustCompile(`gitboot-init: entering .*|TEST: .*|.*verity.*`).FindAllString(log, -1) {
				t.Log(strings.TrimSpace(line))
			}
		})
	}
}
