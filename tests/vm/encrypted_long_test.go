//go:build long

package vm

import (
	"archive/tar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// insideFleet is a Debian with systemd, whose second commit is in it.
const insideFleet = `[image.debian]
pull        = "IMAGE"
insecure    = true
kernel_args = ["console=ttyS0", "loglevel=5", "no_timer_check", "panic=1"]

[machine.small]
images = ["debian"]
hooks  = ["hostname", "step"]
boot   = { mode = "managed", tries = 1 }

[machine.small.unlock]
timeout = "10m"

[machine.small.health]
settle   = "1s"
deadline = "10m"

[[hook.step.file]]
path    = "/etc/lab-step"
content = "one"
`

// A transcript keeps what a machine prints, and passes it on.
type transcript struct {
	to *prompt

	mu   sync.Mutex
	text strings.Builder
}

func (c *transcript) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.text.Write(b)
	c.mu.Unlock()
	return c.to.Write(b)
}

func (c *transcript) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// A Debian with systemd and LVM's own tools, whose stage is on an encrypted logical
// volume, is itself what converges it: gitboot in it finds what the stage is on, makes
// the next generation and has /boot count it, and doctor says who has to be there. LVM
// and udev find the volume as theirs, and systemd goes down without waiting for what its
// root is on, which leaves the stage's file system clean.
func TestLongEncryptedInside(t *testing.T) {
	s := newEmptySite(t)
	s.inside(t, insideFleet, "testdata/inside/rc.local", `"one"`, `"two"`)
	a, crypt := s.encryptedStage(t, 640)
	disk := s.disk(t, lab.DiskOptions{SizeMB: 512, OtherSystem: true, BootApart: true})
	a.reconcile(t, s, disk)
	encrypt(t, crypt)

	asks := &prompt{question: []byte("(" + luksUUID + "): "), asked: make(chan struct{}, 8)}
	console := &transcript{to: asks}
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, More: []string{crypt}, Console: console})
	for _, step := range []string{"one", "two"} {
		s.typeIn(t, vm, asks, passphrase)
		s.story(t, vm, `lab: step `+step+`, stage on \S+ ext4`, `lab: LVM leaves it alone`, `lab: done with step `+step)
	}
	if err := vm.Wait(s.ctx); err != nil {
		t.Fatal(err)
	}
	wentWell(t, console.String(), `active +debian-vg/root`, `encryption /dev/vd\S+: it is opened by passphrase \(slot 0\)`,
		`somebody has to open /dev/vd\S+ at each boot of it; if nobody does`)
}

// story waits for lines of a script that says where it fails.
func (s *site) story(t *testing.T, vm *lab.VM, lines ...string) {
	t.Helper()
	for _, line := range lines {
		m, err := vm.WaitFor(s.ctx, regexp.MustCompile(line+`|lab: failed in step.*`))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.1f s: %s", m.At.Seconds(), m.Groups[0])
		if strings.Contains(m.Groups[0], "failed") {
			t.Fatal(vm.Tail(60))
		}
	}
}

// wentWell wants to find what a console has said, and no complaint of systemd's at the
// end: what the root is on cannot be let go of, and is of nobody's concern any more.
func wentWell(t *testing.T, console string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !regexp.MustCompile(want).MatchString(console) {
			t.Errorf("the console does not say %s", want)
		}
	}
	for _, complaint := range []string{`stop job is running`, `[Ff]ailed (to )?unmount\w*`, `Could not (unmount|remount)`, `file systems.*, ignoring`} {
		if line := regexp.MustCompile(`.*` + complaint + `.*`).FindString(console); line != "" {
			t.Errorf("the console says %s", line)
		}
	}
}

// inside makes an image of a Debian that is itself what converges its machine: by a script,
// and a config repo whose second commit, the one in it, has other texts in place of some of
// the first's.
func (s *site) inside(t *testing.T, fleet, script string, edits ...string) {
	t.Helper()
	rootfs, err := lab.RootFS(s.ctx, lab.BookwormStorage)
	if err != nil {
		t.Fatal(err)
	}
	s.commitSmall(t, strings.Replace(fleet, "IMAGE", s.registry.Addr+"/lab:inside", 1), "")
	second, err := lab.NewRepo(s.ctx, filepath.Join(s.dir, "second"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Git(s.ctx, "pull", "--quiet", s.repo.Dir); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(edits); i += 2 {
		if err := second.Replace("gitboot.toml", edits[i], edits[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := second.Commit(s.ctx, "Go on to the second step"); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(s.dir, "own.tar")
	s.insideTar(t, own, script, second.Dir)
	if _, _, err := s.registry.Push(s.ctx, "lab:inside", nil, lab.Layer{Path: rootfs}, lab.Layer{Path: own}); err != nil {
		t.Fatal(err)
	}
}

// insideTar is what the Debian has besides its packages.
func (s *site) insideTar(t *testing.T, path, script, repo string) {
	t.Helper()
	entries := []entry{}
	add := func(name, from string, mode int64) {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{tar.Header{Name: name, Mode: mode}, string(data)})
	}
	add("usr/local/bin/gitboot", s.gitboot, 0o755)
	add("usr/local/lib/gitboot/gitboot-init", s.gitboot+"-init", 0o755)
	add("etc/rc.local", script, 0o755)
	err := filepath.WalkDir(repo, func(file string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(repo, file)
			add(filepath.Join("srv/fleet", rel), file, 0o644)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	writeLayer(t, path, entries)
}

// A keyboard on USB, the only one that there is, has no driver yet when the serial console
// asks for the passphrase: that it is there is said, and what is typed then is heard.
func TestLongEncryptedByUSB(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	if err := lab.SmallUSB(s.ctx, archive, smallStart+goodEnd); err != nil {
		t.Fatal(err)
	}
	s.commitSmall(t, strings.NewReplacer(`"console=ttyS0"`, `"console=tty0", "console=ttyS0"`, "loglevel=5", "loglevel=6").Replace(encryptedFleet), archive)
	a, crypt := s.encryptedStage(t, 320)
	disk := s.disk(t, lab.DiskOptions{SizeMB: 512, OtherSystem: true, BootApart: true})
	a.reconcile(t, s, disk)
	encrypt(t, crypt)

	asks := &prompt{question: []byte("(" + luksUUID + "): "), asked: make(chan struct{}, 8)}
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.BIOS, More: []string{crypt}, USBKeyboard: true, Console: asks})
	s.asked(t, vm, asks)
	s.follow(t, vm, `the keyboard "QEMU QEMU USB Keyboard" is there`)
	if err := vm.Type(s.ctx, "wrong\r"); err != nil {
		t.Fatal(err)
	}
	s.asked(t, vm, asks)
	if err := vm.Type(s.ctx, passphrase+"\r"); err != nil {
		t.Fatal(err)
	}
	s.follow(t, vm, `lab: /bin/busybox started small on overlay`, `Power down`)
	if err := vm.Wait(s.ctx); err != nil {
		t.Fatal(err)
	}
}

// A key slot as cryptsetup makes it by default takes a gigabyte at boot, too: a machine
// that has less says so, and what to do.
func TestLongEncryptedLittleMemory(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, smallStart+goodEnd)
	s.commitSmall(t, encryptedFleet, archive)
	a, crypt := s.encryptedStage(t, 320)
	disk := s.disk(t, lab.DiskOptions{SizeMB: 512, OtherSystem: true, BootApart: true})
	a.reconcile(t, s, disk)
	encrypt(t, crypt, "--pbkdf-memory", "1048576", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "4")

	asks := &prompt{question: []byte("(" + luksUUID + "): "), asked: make(chan struct{}, 8)}
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.BIOS, More: []string{crypt}, Snapshot: true, Console: asks})
	s.typeIn(t, vm, asks, passphrase)
	s.follow(t, vm, `by passphrase: key slot 0: argon2id takes 1024 MiB, and \d+ are free; add a passphrase that takes less`, `rebooting in 5s, so that the boot loader falls back`)
}
