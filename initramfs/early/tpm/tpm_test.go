package tpm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/initramfs/early/tpm"
	"github.com/gitboot/gitboot/tests/need"
)

// A chip is a TPM, swtpm(8)'s, whose state is a folder.
type chip string

// flags have it started as firmware does.
var flags = []string{"socket", "--tpm2", "--flags", "not-need-init,startup-clear"}

// enroll has systemd-cryptenroll seal a passphrase of a disk by the chip.
func (c chip) enroll(t *testing.T, disk string, args ...string) {
	t.Helper()
	for range 10 { // a port and the next are wanted, and either may be taken
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		// as a daemon, it returns when it listens
		pid := filepath.Join(t.TempDir(), "pid")
		cmd := exec.Command("swtpm", slices.Concat(flags, []string{"--tpmstate", "dir=" + string(c), "--daemon", "--pid", "file=" + pid,
			"--server", "type=tcp,port=" + strconv.Itoa(port), "--ctrl", "type=tcp,port=" + strconv.Itoa(port+1)})...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("%v: %s", err, out)
			continue
		}
		defer stop(t, pid) // its state can have one user only
		cmd = exec.Command("systemd-cryptenroll", slices.Concat([]string{"--tpm2-device=swtpm:host=127.0.0.1,port=" + strconv.Itoa(port)}, args, []string{disk})...)
		cmd.Env = append(os.Environ(), "PASSWORD=secret", "NEWPIN=1234")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", cmd, err, out)
		}
		return
	}
	t.Fatal("swtpm does not start")
}

// stop ends the daemon whose number is in a file.
func stop(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != nil {
		t.Fatal(err)
	}
}

// start starts the chip and returns the way to it.
func (c chip) start(t *testing.T) io.ReadWriter {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "chip"), os.NewFile(uintptr(fds[1]), "chip")
	cmd := exec.Command("swtpm", slices.Concat(flags, []string{"--tpmstate", "dir=" + string(c), "--server", "type=tcp,fd=3"})...)
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	t.Cleanup(func() {
		ours.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return ours
}

// extend changes a PCR, as other programs that are started do.
func extend(t *testing.T, dev io.ReadWriter, pcr byte) {
	t.Helper()
	b := []byte{0x80, 0x02, 0, 0, 0, 0, 0, 0, 0x01, 0x82, 0, 0, 0, pcr, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x0b}
	b = append(b, bytes.Repeat([]byte{1}, 32)...)
	binary.BigEndian.PutUint32(b[2:], uint32(len(b)))
	if _, err := dev.Write(b); err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 100)
	if n, err := dev.Read(out); err != nil || binary.BigEndian.Uint32(out[6:]) != 0 {
		t.Fatalf("%x: %v", out[:n], err)
	}
}

// encrypted is a disk with the passphrase "secret".
func encrypted(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 20<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cryptsetup", "--batch-mode", "luksFormat", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", file, "-")
	cmd.Stdin = bytes.NewBufferString("secret")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

// token is the one that a disk has.
func token(t *testing.T, disk io.ReaderAt) (*luks.Header, luks.Token) {
	t.Helper()
	h, err := luks.Read(disk)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Tokens) != 1 || h.Tokens[0].Type != tpm.TokenType {
		t.Fatalf("the tokens are %+v", h.Tokens)
	}
	return h, h.Tokens[0]
}

// What systemd-cryptenroll has sealed opens the disk's key slot, as long as the
// machine starts as it did, and with the right PIN alone.
func TestUnseal(t *testing.T) {
	need.Programs(t, "cryptsetup", "swtpm", "systemd-cryptenroll")
	for name, args := range map[string][]string{
		"PCRs":    {"--tpm2-pcrs=7+14"},
		"no PCRs": {"--tpm2-pcrs="},
		"PIN":     {"--tpm2-pcrs=7", "--tpm2-with-pin=yes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, file := chip(t.TempDir()), encrypted(t)
			c.enroll(t, file, args...)
			disk, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer disk.Close()
			header, token := token(t, disk)
			sealed, err := tpm.Parse(token.JSON)
			if err != nil || sealed.PIN != (name == "PIN") {
				t.Fatalf("%+v: %v", sealed, err)
			}
			dev := c.start(t)
			var auth []byte
			if sealed.PIN {
				if _, err := sealed.Unseal(dev, []byte("no hash of it")); !errors.Is(err, tpm.ErrPIN) {
					t.Errorf("a wrong PIN: %v", err)
				}
				if auth, err = sealed.Auth([]byte("1234")); err != nil {
					t.Fatal(err)
				}
			}
			for range 5 { // what is loaded is let go of: there is room for three
				secret, err := sealed.Unseal(dev, auth)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := header.Unlock(t.Context(), disk, luks.Try{Passphrase: tpm.Passphrase(secret), Slots: token.Slots}); err != nil {
					t.Error(err)
				}
			}
			extend(t, dev, 7)
			if _, err := sealed.Unseal(dev, auth); (err == nil) != (name == "no PCRs") || err != nil && !errors.Is(err, tpm.ErrChanged) {
				t.Errorf("after another start: %v", err)
			}
			if _, err := sealed.Unseal(chip(t.TempDir()).start(t), auth); err == nil || !strings.Contains(err.Error(), "not the TPM") {
				t.Errorf("another chip: %v", err)
			}
		})
	}
}

// A TPM may answer anything.
func FuzzUnseal(f *testing.F) {
	f.Add([]byte(`{"tpm2-blob":"AAAAAAAA","tpm2-pcrs":[7],"tpm2-pin":true,"tpm2_salt":"AAAA"}`), []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 0, 1})
	f.Add([]byte(`{"tpm2-blob":"AAAAAAAA","tpm2-primary-alg":"rsa","tpm2_srk":"gQAAAQ=="}`), []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x9d})
	f.Fuzz(func(t *testing.T, token, answer []byte) {
		s, err := tpm.Parse(token)
		if err != nil {
			return
		}
		_, _ = s.Unseal(echo{answer}, nil)
	})
}

// An echo answers each command alike.
type echo struct{ answer []byte }

func (e echo) Write(b []byte) (int, error) { return len(b), nil }
func (e echo) Read(b []byte) (int, error)  { return copy(b, e.answer), nil }
