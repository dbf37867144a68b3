package rescue_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/rescue"
	"github.com/gitboot/gitboot/tests/need"
)

// A client is OpenSSH's, with a key and a file of host keys of its own.
type client struct {
	t         *testing.T
	key, host string
	port      string
}

func (c client) run(in string, args ...string) (out string, code int) {
	c.t.Helper()
	all := append([]string{"-F", "none", "-i", c.key, "-p", c.port, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
		"-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=" + c.host}, args...)
	cmd := exec.CommandContext(c.t.Context(), "ssh", all...)
	cmd.Stdin = strings.NewReader(in)
	text, err := cmd.CombinedOutput()
	exit := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func keygen(t *testing.T, path string) (public []byte) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada@example.com", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	public, err := os.ReadFile(path + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return public
}

func serve(t *testing.T, s rescue.Server) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// Admins get what they know from sshd: commands with input, output and exit codes,
// and a terminal. Nobody else gets in.
func TestAdminsLogIn(t *testing.T) {
	need.Programs(t, "ssh", "ssh-keygen")
	dir := t.TempDir()
	key, other := filepath.Join(dir, "key"), filepath.Join(dir, "other")
	public := keygen(t, key)
	keygen(t, other)
	keygen(t, filepath.Join(dir, "host"))
	host, err := os.ReadFile(filepath.Join(dir, "host"))
	if err != nil {
		t.Fatal(err)
	}
	port := serve(t, rescue.Server{Keys: append([]byte("# admins\n\n"), public...), HostKey: host, Shell: "/bin/sh", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	c := client{t, key, filepath.Join(dir, "known"), port}
	// the two streams come in any order
	out, code := c.run("in\n", "root@127.0.0.1", "cat; echo out; echo err >&2; exit 3")
	if printed := strings.Replace(out, "err\n", "", 1); code != 3 || printed == out || !strings.HasSuffix(printed, "in\nout\n") {
		t.Errorf("a command ends with %d: %s", code, out)
	}
	known, err := os.ReadFile(c.host)
	if err != nil || !bytes.Contains(known, []byte("ssh-ed25519")) {
		t.Errorf("the host's key is not as it was given: %s, %v", known, err)
	}
	if out, code := c.run("tty; echo $TERM$((6*7)); exit 4\n", "-tt", "root@127.0.0.1"); code != 4 || !strings.Contains(out, "/dev/pts/") || !strings.Contains(out, "42") {
		t.Errorf("a terminal ends with %d: %s", code, out)
	}
	if out, code := c.run("", "root@127.0.0.1", "kill -9 $$"); code != 137 {
		t.Errorf("a killed command ends with %d: %s", code, out)
	}
	c.key = other
	if out, code := c.run("", "root@127.0.0.1", "echo in"); code != 255 || !strings.Contains(out, "Permission denied") {
		t.Errorf("somebody else gets in: %d: %s", code, out)
	}
}

func TestParseKeys(t *testing.T) {
	need.Programs(t, "ssh-keygen")
	public := string(keygen(t, filepath.Join(t.TempDir(), "key")))
	for text, want := range map[string]string{
		"":                               "",
		"# none\n\n" + public:            "",
		public + "ssh-ed25519 AAAA":      "line 2 of the keys that may log in",
		`from="192.0.2.0/24" ` + public:  "line 1 of the keys that may log in has options",
		"-----BEGIN OPENSSH PRIVATE KEY": "line 1",
	} {
		_, err := rescue.ParseKeys([]byte(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
