package rescue

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/gitboot/gitboot/hooks/check"
)

// A Server lets admins in, by key alone, as root.
type Server struct {
	// Keys are in the form of authorized_keys.
	Keys []byte
	// HostKey is a private key; nil has one made.
	HostKey []byte
	// Shell is the program that a session without a command gets, and that
	// interprets one.
	Shell string
	Log   *slog.Logger
}

// Who has not shown a key that is known has so much time, and so many tries.
const (
	loginTime  = 30 * time.Second
	loginTries = 6
)

// connection is by which key the context of a session has its connection.
type connection struct{}

// Serve answers on l until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	keys, err := ParseKeys(s.Keys)
	if err != nil {
		return err
	}
	host, err := s.hostKey()
	if err != nil {
		return err
	}
	s.Log.Info("the machine's admins can log in as root by ssh", "address", l.Addr(), "host_key", gossh.FingerprintSHA256(host.PublicKey()))
	server := &ssh.Server{
		Version: "gitboot", HostSigners: []ssh.Signer{host}, Handler: s.session,
		PublicKeyHandler: func(c ssh.Context, key ssh.PublicKey) bool { return known(keys, key) },
		ServerConfigCallback: func(ssh.Context) *gossh.ServerConfig {
			return &gossh.ServerConfig{MaxAuthTries: loginTries}
		},
		ConnCallback: func(c ssh.Context, conn net.Conn) net.Conn {
			_ = conn.SetDeadline(time.Now().Add(loginTime))
			c.SetValue(connection{}, conn)
			return conn
		},
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); err != nil && !errors.Is(err, ssh.ErrServerClosed) {
		return err
	}
	return nil
}

// ParseKeys reads keys in the form of authorized_keys. Options of a key are refused:
// what they would forbid is not forbidden here.
func ParseKeys(text []byte) (keys []ssh.PublicKey, err error) {
	for n, line := range bytes.Split(text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		if wrong := check.WrongLoginKey(string(line)); wrong != "" {
			return nil, fmt.Errorf("line %d of the keys that may log in %s", n+1, wrong)
		}
		key, _, _, _, err := gossh.ParseAuthorizedKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d of the keys that may log in: %w", n+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func known(keys []ssh.PublicKey, key ssh.PublicKey) bool {
	for _, k := range keys {
		if ssh.KeysEqual(k, key) {
			return true
		}
	}
	return false
}

// HostKey reads the host key: the entry's own, else the one on the stage, which comes
// when that is mounted; nil if it does not come in time.
func HostKey(ctx context.Context, log *slog.Logger, own, staged string, within time.Duration) ([]byte, error) {
	key, err := Optional(own)
	if err != nil || key != nil {
		return key, err
	}
	late := time.After(within)
	look := time.NewTicker(within / 50)
	defer look.Stop()
	for {
		if key, err := Optional(staged); err == nil && key != nil {
			if _, err := gossh.ParsePrivateKey(key); err == nil {
				return key, nil
			}
			log.Warn("the host key on the stage is damaged; one is made for this boot", "file", staged)
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late:
			log.Warn("the stage, with the host key, is not there; one is made for this boot")
			return nil, nil
		case <-look.C:
		}
	}
}

func (s *Server) hostKey() (gossh.Signer, error) {
	if s.HostKey != nil {
		return gossh.ParsePrivateKey(s.HostKey)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return gossh.NewSignerFromKey(private)
}

// session runs what somebody asks for.
func (s *Server) session(session ssh.Session) {
	if conn, ok := session.Context().Value(connection{}).(net.Conn); ok {
		_ = conn.SetDeadline(time.Time{})
	}
	args := []string{"-l"}
	if line := session.RawCommand(); line != "" {
		args = []string{"-c", line}
	}
	s.Log.Info("somebody has logged in", "from", session.RemoteAddr(), "key", gossh.FingerprintSHA256(session.PublicKey()))
	cmd := exec.CommandContext(session.Context(), s.Shell, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = "/", Env(), time.Second
	err := s.run(session, cmd)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code := exit.ExitCode()
		if code < 0 { // as shells say that a signal ended it
			code = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
		}
		_ = session.Exit(code)
		return
	}
	if err != nil {
		fmt.Fprintln(session.Stderr(), "gitboot-rescue:", err)
		_ = session.Exit(255)
	}
}

func (s *Server) run(session ssh.Session, cmd *exec.Cmd) error {
	term, sizes, terminal := session.Pty()
	if !terminal {
		return plainly(session, cmd)
	}
	cmd.Env = append(cmd.Env, "TERM="+term.Term)
	tty, err := pty.StartWithSize(cmd, size(term.Window))
	if err != nil {
		return err
	}
	defer tty.Close()
	go func() {
		for w := range sizes {
			_ = pty.Setsize(tty, size(w)) // a size that is wrong is only ugly
		}
	}()
	go func() { _, _ = io.Copy(tty, session) }()
	_, _ = io.Copy(session, tty) // ends with EIO when the program does
	return cmd.Wait()
}

// plainly runs a program without a terminal. Its input is a pipe of ours, so that
// its end is not waited for.
func plainly(session ssh.Session, cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = session, session.Stderr()
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(in, session)
		_ = in.Close()
	}()
	return cmd.Wait()
}

func size(w ssh.Window) *pty.Winsize {
	return &pty.Winsize{Rows: uint16(min(max(w.Height, 0), 1<<15)), Cols: uint16(min(max(w.Width, 0), 1<<15))}
}

// Env is what sessions and the console's shell get.
func Env() []string {
	return []string{"PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/root", "USER=root", "LANG=C.UTF-8"}
}

// Optional reads a file that need not be there.
func Optional(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
