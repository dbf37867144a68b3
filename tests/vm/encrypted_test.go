package vm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

const (
	luksUUID   = "2f1c9a04-53c1-4a7e-8f0a-7d1b5f0f6a11"
	passphrase = "correct horse"
)

// encryptedFleet is the small one, whose disk takes what is typed.
const encryptedFleet = smallFleet + `
[machine.small.unlock]
ways    = ["tpm2", "passphrase"]
timeout = "10m"
`

// A prompt tells when a machine asks a question, which ends no line.
type prompt struct {
	question []byte
	asked    chan struct{}

	mu   sync.Mutex
	seen []byte
}

func (p *prompt) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, b...)
	if i := bytes.Index(p.seen, p.question); i >= 0 {
		p.seen = p.seen[i+len(p.question):]
		p.asked <- struct{}{}
	}
	return len(b), nil
}

// encrypt has cryptsetup encrypt a disk where it lies, with a key that takes next to
// nothing unless options say otherwise. Its header takes the room of
// 16 MiB, and half a stage's is copied through as much.
func encrypt(t *testing.T, disk string, more ...string) {
	t.Helper()
	info, err := os.Stat(disk)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, info.Size()+32<<20); err != nil {
		t.Fatal(err)
	}
	if len(more) == 0 {
		more = []string{"--pbkdf-memory", "1024", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "2"}
	}
	cmd := exec.CommandContext(t.Context(), "cryptsetup", append([]string{"reencrypt", "--encrypt", "--batch-mode", "--reduce-device-size", "32M", "--uuid", luksUUID,
		"--pbkdf", "argon2id", "--key-file", "-", disk}, more...)...)
	cmd.Dir, cmd.Stdin = t.TempDir(), strings.NewReader(passphrase) // it makes a file beside
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, out)
	}
}

// encryptedStage makes a stage of a size in MB as Debian's installer has it: on a logical
// volume of a partition that is to be encrypted.
func (s *site) encryptedStage(t *testing.T, mb int64) (a *assembledStage, crypt string) {
	t.Helper()
	dir := t.TempDir()
	image, crypt := filepath.Join(dir, "image"), filepath.Join(dir, "crypt")
	for file, size := range map[string]int64{image: mb << 20, crypt: (mb + 8) << 20} {
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, size)); err != nil {
			t.Fatal(err)
		}
	}
	group, err := lab.NewVolumeGroup(s.ctx, "debian-vg", nil, lab.Place{Path: crypt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := group.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := group.Create(s.ctx, "root", "-L", fmt.Sprintf("%dM", mb)); err != nil {
		t.Fatal(err)
	}
	vg, lv, err := group.UUIDs(s.ctx, "root")
	if err != nil {
		t.Fatal(err)
	}
	assembly := deployment.NewAssembly(deployment.Step{Kind: deployment.AssembleLUKS, ID: luksUUID}, deployment.Step{Kind: deployment.AssembleLVM, ID: vg, Volume: lv})
	if _, err := lab.Run(s.ctx, "mkfs.ext4", "-q", "-F", "-U", assembledUUID, image); err != nil {
		t.Fatal(err)
	}
	return &assembledStage{image: image, group: group, volume: "root", location: fmt.Sprintf("%s@UUID=%s:/gitboot", assembly, assembledUUID)}, crypt
}

// typeIn types on the serial console when a machine asks, each text once.
func (s *site) typeIn(t *testing.T, vm *lab.VM, asks *prompt, texts ...string) {
	t.Helper()
	for _, typed := range texts {
		s.asked(t, vm, asks)
		if err := vm.Send(typed + "\r"); err != nil {
			t.Fatal(err)
		}
	}
}

// asked waits until a machine asks.
func (s *site) asked(t *testing.T, vm *lab.VM, asks *prompt) {
	t.Helper()
	select {
	case <-asks.asked:
	case <-s.ctx.Done():
		t.Fatal(vm.Tail(20))
	}
}

// A machine as Debian's installer encrypts it, with a plain /boot and all else on a
// logical volume of a LUKS2 partition, boots by GRUB with the passphrase that is typed, at
// the second try: on the serial console first, then on the keyboard beside the screen; and
// what came up is good.
func TestEncrypted(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, smallStart+goodEnd)
	s.commitSmall(t, strings.Replace(encryptedFleet, `"console=ttyS0"`, `"console=tty0", "console=ttyS0"`, 1), archive)
	a, crypt := s.encryptedStage(t, 320)
	assembly, _, _ := strings.Cut(a.location, "@")
	disk := s.disk(t, lab.DiskOptions{SizeMB: 512, OtherSystem: true, BootApart: true})
	a.reconcile(t, s, disk)
	encrypt(t, crypt)

	asks := &prompt{question: []byte("(" + luksUUID + "): "), asked: make(chan struct{}, 8)}
	o := lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, More: []string{crypt}, Console: asks}
	vm := s.start(t, o)
	s.typeIn(t, vm, asks, "wrong")
	s.asked(t, vm, asks)
	if err := vm.Type(s.ctx, passphrase+"\r"); err != nil {
		t.Fatal(err)
	}
	s.follow(t, vm, `Passphrase for the disk /dev/vd[ab] \(`+luksUUID+`\)`, `That was wrong: it opens no key slot; tries left: 2. Passphrase for the disk`,
		`lab: BOOT_IMAGE=/grub/gitboot/[0-9a-f]{64} .*gitboot.trying=1 .* gitboot.assemble=`+assembly+` `, `lab: /bin/busybox started small on overlay`, `Power down`)
	if err := vm.Wait(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.look(t, disk, func(mnt string) error {
		block, err := os.ReadFile(filepath.Join(mnt, "boot/grub/gitboot/gitboot.env"))
		if err == nil && !strings.Contains(string(block), "gitboot_good=gitboot-small-") {
			t.Errorf("the boot loader's block says %.300q", block)
		}
		return err
	})
}
