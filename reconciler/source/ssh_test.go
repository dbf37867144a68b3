package source

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// newKey writes an SSH key pair and returns the private key's file.
func newKey(t *testing.T, name string) (file string, pub ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, name)
	if err != nil {
		t.Fatal(err)
	}
	if pub, err = ssh.NewPublicKey(public); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), name)
	writeFile(t, file, string(pem.EncodeToMemory(block)))
	writeFile(t, file+".pub", string(ssh.MarshalAuthorizedKey(pub)))
	return file, pub
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// An sshServer is a real one, and what a client has to know of it.
type sshServer struct {
	addr, user string
	hostKey    ssh.PublicKey
}

func newSSHServer(t *testing.T, authorized ssh.PublicKey, more ...string) *sshServer {
	t.Helper()
	need.Long(t)
	need.Program(t, "sshd")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	keyFile, hostKey := newKey(t, "host")
	dir := t.TempDir()
	allowed := filepath.Join(dir, "authorized")
	writeFile(t, allowed, string(ssh.MarshalAuthorizedKey(authorized)))
	server, err := lab.StartSSHServer(dir, keyFile, allowed, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return &sshServer{addr: server.Addr, user: me.Username, hostKey: hostKey}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// options for a repo behind the server, with the right files.
func (s *sshServer) options(t *testing.T, r *repo, key string) Options {
	t.Helper()
	o := r.options()
	o.URL = "ssh://" + s.user + "@" + s.addr + r.dir
	o.SSHKeyFile = key
	o.KnownHostsFile = filepath.Join(t.TempDir(), "known_hosts")
	writeFile(t, o.KnownHostsFile, knownhosts.Line([]string{s.addr}, s.hostKey)+"\n")
	return o
}

func TestFollowSSH(t *testing.T) {
	key, pub := newKey(t, "client")
	server := newSSHServer(t, pub)
	r := newRepo(t)
	follow(t, r, server.options(t, r, key))
}

func TestSSHRefusals(t *testing.T) {
	ctx := context.Background()
	key, pub := newKey(t, "client")
	server := newSSHServer(t, pub)
	r := newRepo(t)
	good := server.options(t, r, key)

	var empty *EmptyError
	if _, err := open(t, good).Remote(ctx); !errors.As(err, &empty) {
		t.Errorf("empty repo: %v", err)
	}
	r.commit("a", "1")

	o := good
	o.SSHKeyFile, _ = newKey(t, "stranger")
	var auth *AuthError
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &auth) || !strings.Contains(err.Error(), o.SSHKeyFile) {
		t.Errorf("unknown key: %v", err)
	}

	o = good
	o.KnownHostsFile = filepath.Join(t.TempDir(), "none")
	writeFile(t, o.KnownHostsFile, "")
	var host *HostKeyError
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &host) || host.Changed {
		t.Fatalf("unknown host: %v", err)
	}
	writeFile(t, o.KnownHostsFile, host.Line+"\n")
	if _, err := open(t, o).Remote(ctx); err != nil {
		t.Errorf("with the line that the error gave: %v", err)
	}
	_, other := newKey(t, "other")
	writeFile(t, o.KnownHostsFile, knownhosts.Line([]string{server.addr}, other)+"\n")
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &host) || !host.Changed {
		t.Errorf("changed host key: %v", err)
	}

	o = good
	o.URL += "-gone"
	var unreachable *UnreachableError
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "does not appear to be a git repository") {
		t.Errorf("missing repo: %v", err)
	}
}

func TestSSHKeyWithPassphrase(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	o := Options{URL: "git@127.0.0.1:x", Dir: filepath.Join(t.TempDir(), "c"), SSHKeyFile: filepath.Join(t.TempDir(), "key"), KnownHostsFile: "/dev/null"}
	writeFile(t, o.SSHKeyFile, string(pem.EncodeToMemory(block)))
	if _, err := open(t, o).Remote(context.Background()); err == nil || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("locked key: %v", err)
	}
}
