//go:build long

package initramfs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append([]string{"-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1024", "-smp", "2",
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

// A stage on an encrypted disk is opened in each way that there is, in the order that
// is told, and without any of them the boot fails in time.
func TestLongBootEncrypted(t *testing.T) {
	need.Root(t)
	need.Programs(t, "qemu-system-x86_64", "mke2fs", "tar2sqfs", "tar", "apt-get", "apt-cache", "dpkg-deb", "cryptsetup", "lvm", "losetup", "swtpm", "systemd-cryptenroll")
	s := makeStage(t, initramfs.Options{Assembles: []string{deployment.AssembleLUKS, deployment.AssembleLVM}})
	volume := s.onVolume(t)
	s.encrypt(t, "--pbkdf", "argon2id", "--pbkdf-memory", "32768", "--pbkdf-force-iterations", "4", "--pbkdf-parallel", "2") // the default of 1 GiB takes minutes where a processor is emulated
	on := "gitboot.assemble=" + string(deployment.NewAssembly(deployment.Step{Kind: deployment.AssembleLUKS, ID: cryptUUID}, volume)) + " "
	came := []string{"T: root overlay\n", "T: stage ext4 ro\n", "T: stage has deployments\n", "T: end\n"}

	t.Run("typed, after ways that lead to nothing", func(t *testing.T) {
		log := s.bootTyping(t, "Passphrase for the disk", []string{"wrong", "correct horse"}, on+"gitboot.unlock=tpm2,keyfile:LABEL=other:/none,passphrase")
		want(t, log, append(came, "nothing that a TPM has sealed", "reading the key file: open /run/gitboot-key/none: no such file", "tries left: 2", "is opened by passphrase")...)
		not(t, log, "correct horse", "Kernel panic")
	})
	t.Run("a key file on another disk", func(t *testing.T) {
		key := filepath.Join(t.TempDir(), "key")
		writeFile(t, key, []byte("correct horse"))
		run(t, exec.Command("debugfs", "-w", "-R", "write "+key+" laptop.key", s.other))
		log := s.bootTyping(t, "", nil, on+"gitboot.unlock=keyfile:LABEL=other:/laptop.key")
		want(t, log, append(came, "is opened by keyfile")...)
	})
	t.Run("nobody there", func(t *testing.T) {
		log := s.bootTyping(t, "", nil, on+"gitboot.unlock=passphrase,timeout:2 gitboot.trying=1")
		want(t, log, "cannot boot deployment", "nobody typed it within 2s", "falls back")
		not(t, log, "T: root")
	})
	t.Run("a TPM", func(t *testing.T) {
		state := t.TempDir()
		machine := chipArgs(t, state)
		// what the machine's own firmware and kernel have measured is not known here
		enroll(t, state, s.disk, "--tpm2-pcrs=")
		log := s.bootTyping(t, "", nil, on, machine()...)
		want(t, log, append(came, "is opened by tpm2")...)
	})
	t.Run("a TPM that takes a PIN", func(t *testing.T) {
		state := t.TempDir()
		machine := chipArgs(t, state)
		enroll(t, state, s.disk, "--wipe-slot=tpm2", "--tpm2-pcrs=23", "--tpm2-with-pin=yes")
		log := s.bootTyping(t, "PIN for the disk", []string{"4321", "1234"}, on, machine()...)
		want(t, log, append(came, "tries left: 2", "is opened by tpm2")...)
	})
}

// chipArgs starts a TPM, swtpm's, each time that it is called, and returns what QEMU is
// told of it. It ends with its machine.
func chipArgs(t *testing.T, state string) func() []string {
	return func() []string {
		t.Helper()
		socket := filepath.Join(t.TempDir(), "socket")
		run(t, exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state, "--ctrl", "type=unixio,path="+socket, "--daemon", "--terminate"))
		return []string{"-chardev", "socket,id=chip,path=" + socket, "-tpmdev", "emulator,id=tpm,chardev=chip", "-device", "tpm-tis,tpmdev=tpm"}
	}
}

// enroll has systemd-cryptenroll seal a passphrase of the disk in a TPM.
func enroll(t *testing.T, state, disk string, args ...string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	pid := filepath.Join(t.TempDir(), "pid")
	run(t, exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state, "--flags", "not-need-init,startup-clear", "--daemon", "--pid", "file="+pid,
		"--server", fmt.Sprintf("type=tcp,port=%d", port), "--ctrl", fmt.Sprintf("type=tcp,port=%d", port+1)))
	cmd := exec.Command("systemd-cryptenroll", append(args, fmt.Sprintf("--tpm2-device=swtpm:host=127.0.0.1,port=%d", port), disk)...)
	cmd.Env = append(os.Environ(), "PASSWORD=correct horse", "NEWPIN=1234")
	run(t, cmd)
	number, err := strconv.Atoi(strings.TrimSpace(read(t, pid)))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(number, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil { // its state has one user
		t.Fatal(err)
	}
}
