package initramfs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

const cryptUUID = "2f1c9a04-53c1-4a7e-8f0a-7d1b5f0f6a11"

// onVolume puts the stage's file system on a logical volume, and returns what process 1
// is told of it.
func (s *testStage) onVolume(t *testing.T) deployment.Step {
	t.Helper()
	plain := s.disk
	info, err := os.Stat(plain)
	if err != nil {
		t.Fatal(err)
	}
	s.disk += ".lvm"
	writeFile(t, s.disk, nil)
	if err := os.Truncate(s.disk, info.Size()+16<<20); err != nil {
		t.Fatal(err)
	}
	g, err := lab.NewVolumeGroup(t.Context(), "debian-vg", nil, lab.Place{Path: s.disk})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	step := deployment.Step{Kind: deployment.AssembleLVM}
	err = g.Create(t.Context(), "root", "-L", fmt.Sprintf("%db", info.Size()))
	if err == nil {
		err = g.Write(t.Context(), "root", plain)
	}
	if err == nil {
		step.ID, step.Volume, err = g.UUIDs(t.Context(), "root")
	}
	if err != nil {
		t.Fatal(err)
	}
	return step
}

// encrypt has cryptsetup encrypt the stage's disk where it lies.
func (s *testStage) encrypt(t *testing.T, args ...string) {
	t.Helper()
	info, err := os.Stat(s.disk)
	if err != nil {
		t.Fatal(err)
	}
	const room = 32 << 20 // of which the header takes half
	if err := os.Truncate(s.disk, info.Size()+room); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cryptsetup", append([]string{"reencrypt", "--encrypt", "--batch-mode", "--reduce-device-size", "32M", "--uuid", cryptUUID, "--key-file", "-", s.disk}, args...)...)
	cmd.Stdin = strings.NewReader("correct horse")
	run(t, cmd)
}

// A typist types one line after another, each when a question was asked.
type typist struct {
	question string
	lines    []string
	keyboard io.Writer
	seen     bytes.Buffer
	read     int // of what was seen
}

func (p *typist) Write(b []byte) (int, error) {
	p.seen.Write(b)
	if i := bytes.Index(p.seen.Bytes()[p.read:], []byte(p.question)); i >= 0 && len(p.lines) > 0 {
		p.read += i + len(p.question)
		_, err := io.WriteString(p.keyboard, p.lines[0]+"\r")
		p.lines = p.lines[1:]
		return len(b), err
	}
	return len(b), nil
}

// bootTyping boots the machine with somebody at its console, and returns what that
// showed.
func (s *testStage) bootTyping(t *testing.T, question string, lines []string, cmdline string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append([]string{"-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", "-smp", "2",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", s.kernel, "-initrd", s.initramfs,
		"-drive", "file=" + s.disk + ",if=virtio,format=raw", "-drive", "file=" + s.other + ",if=virtio,format=raw",
		"-append", "console=ttyS0 panic=1 gitboot.stage=UUID=" + stageUUID + ":/var/gitboot gitboot.deployment=" + s.id + " " + cmdline}, args...)...)
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &typist{question: question, lines: lines, keyboard: keyboard}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Run(); err != nil {
		t.Errorf("running QEMU: %v", err)
	}
	return strings.ReplaceAll(p.seen.String(), "\r", "")
}

// A stage on a logical volume of an encrypted disk, as Debian installs them, boots with
// the passphrase that is typed on the console, after ways that lead to nothing.
func TestBootEncrypted(t *testing.T) {
	need.Root(t)
	need.Programs(t, "qemu-system-x86_64", "mke2fs", "tar2sqfs", "tar", "apt-get", "apt-cache", "dpkg-deb", "cryptsetup", "lvm", "losetup")
	s := makeStage(t, initramfs.Options{Assembles: []string{deployment.AssembleLUKS, deployment.AssembleLVM}})
	volume := s.onVolume(t)
	s.encrypt(t, "--pbkdf", "argon2id", "--pbkdf-memory", "1024", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "2")
	on := deployment.NewAssembly(deployment.Step{Kind: deployment.AssembleLUKS, ID: cryptUUID}, volume)
	log := s.bootTyping(t, "Passphrase for the disk", []string{"wrong", "correct horse"}, "gitboot.assemble="+string(on)+" gitboot.unlock=tpm2,keyfile:LABEL=other:/none,passphrase")
	want(t, log, "nothing that a TPM has sealed", "reading the key file: open /run/gitboot-key/none: no such file", "try again (2 left)",
		"is opened by passphrase", "T: root overlay\n", "T: stage ext4 ro\n", "T: stage has deployments\n", "T: end\n")
	not(t, log, "correct horse", "Kernel panic")
}
