package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"

	"github.com/gitboot/gitboot/reconciler/source/ref"
)

// farewell is how long a server that failed may take to say why.
const farewell = 5 * time.Second

// An sshRemote connects by itself rather than through go-git, whose SSH
// transport ignores the context while it dials and shakes hands, and reads
// ~/.ssh/config.
type sshRemote struct {
	opts             Options
	user, addr, path string
}

func newSSH(o Options, at Address) (Remote, error) {
	switch {
	case o.SSHKeyFile == "":
		return nil, fmt.Errorf("following %s: ssh_key_file is not set in agent.toml; make a key with ssh-keygen -N '' -f FILE and name it there", o.URL)
	case o.KnownHostsFile == "":
		return nil, fmt.Errorf("following %s: known_hosts_file is not set in agent.toml; make the file with ssh-keyscan %s > FILE, compare its keys with the host's owner, and name it there", o.URL, at.Host)
	}
	r := &sshRemote{opts: o, user: at.User, addr: at.hostPort("22"), path: at.Path}
	if r.user == "" {
		r.user = "git"
	}
	return r, nil
}

func (r *sshRemote) Open(ctx context.Context, allowed *Silence) (*Session, error) {
	client, stop, err := r.connect(ctx, allowed)
	if err != nil {
		return nil, err
	}
	end := func() error { stop(); return client.Close() }
	s, err := r.start(client, end)
	if err != nil {
		return nil, errors.Join(err, ignoreClosed(end()))
	}
	return s, nil
}

// connect dials and shakes hands. The connection ends with ctx, whatever the
// SSH library is waiting for then.
func (r *sshRemote) connect(ctx context.Context, allowed *Silence) (*ssh.Client, func() bool, error) {
	config, hostErr, err := r.config()
	if err != nil {
		return nil, nil, err
	}
	conn, err := r.opts.Proxy.Dial(ctx, allowed.dial, "tcp", r.addr)
	if err != nil {
		return nil, nil, &UnreachableError{URL: r.opts.URL, Err: err}
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, chans, reqs, err := ssh.NewClientConn(conn, r.addr, config)
	if err != nil {
		stop()
		conn.Close()
		return nil, nil, r.explain(err, *hostErr)
	}
	return ssh.NewClient(c, chans, reqs), stop, nil
}

// config reads the key and known_hosts files; hostErr is filled in when the
// host's key is refused.
func (r *sshRemote) config() (config *ssh.ClientConfig, hostErr **HostKeyError, err error) {
	pem, err := os.ReadFile(r.opts.SSHKeyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the SSH key file: %w", err)
	}
	key, err := ssh.ParsePrivateKey(pem)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, nil, fmt.Errorf("reading the SSH key file %s: it has a passphrase, which nobody is there to type; use a key without one (ssh-keygen -p removes it)", r.opts.SSHKeyFile)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the SSH key file %s: %w; it must be a private key", r.opts.SSHKeyFile, err)
	}
	known, err := knownhosts.NewDB(r.opts.KnownHostsFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the known_hosts file %s: %w", r.opts.KnownHostsFile, err)
	}
	hostErr = new(*HostKeyError)
	check := known.HostKeyCallback()
	return &ssh.ClientConfig{
		User:              r.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(key)},
		HostKeyAlgorithms: known.HostKeyAlgorithms(r.addr),
		HostKeyCallback: func(host string, remote net.Addr, key ssh.PublicKey) error {
			err := check(host, remote, key)
			if knownhosts.IsHostKeyChanged(err) || knownhosts.IsHostUnknown(err) {
				*hostErr = &HostKeyError{
					Host:           host,
					KnownHostsFile: r.opts.KnownHostsFile,
					Fingerprint:    ssh.FingerprintSHA256(key),
					Line:           knownhosts.Line([]string{host}, key),
					Changed:        knownhosts.IsHostKeyChanged(err),
				}
			}
			return err
		},
	}, hostErr, nil
}

func (r *sshRemote) explain(err error, host *HostKeyError) error {
	switch {
	case host != nil:
		return host
	case strings.Contains(err.Error(), "unable to authenticate"):
		return &AuthError{URL: r.opts.URL, With: fmt.Sprintf("key file %s (user %s)", r.opts.SSHKeyFile, r.user), Err: err}
	case strings.Contains(err.Error(), "no common algorithm for host key"):
		return &UnreachableError{URL: r.opts.URL, Err: fmt.Errorf("%w (the host shows no key of a type that %s lists for it)", err, r.opts.KnownHostsFile)}
	}
	return &UnreachableError{URL: r.opts.URL, Err: err}
}

// start runs upload-pack on the server and reads its refs.
func (r *sshRemote) start(client *ssh.Client, end func() error) (*Session, error) {
	run, err := client.NewSession()
	if err != nil {
		return nil, &UnreachableError{URL: r.opts.URL, Err: err}
	}
	in, inErr := run.StdinPipe()
	out, outErr := run.StdoutPipe()
	words := &firstBytes{hangUp: end}
	run.Stderr = words
	if err := errors.Join(inErr, outErr, run.Start("git-upload-pack "+shellQuote(r.path))); err != nil {
		return nil, &UnreachableError{URL: r.opts.URL, Err: err}
	}
	stream := &bounded{Reader: out}
	stream.expect("list of refs", maxRefs)
	refs, err := readRefs(stream, r.opts.URL)
	if empty := new(ref.EmptyError); errors.As(err, &empty) {
		return nil, err
	}
	if endless := new(excessError); errors.As(err, &endless) {
		return nil, &UnreachableError{URL: r.opts.URL, Err: err}
	}
	if err != nil {
		// the server's words are complete only then, if it ever ends
		timer := time.AfterFunc(farewell, func() { end() })
		run.Wait()
		timer.Stop()
		if said := Printable(string(words.said)); said != "" {
			err = fmt.Errorf("%w; the server says: %s", err, said)
		}
		return nil, &UnreachableError{URL: r.opts.URL, Err: err}
	}
	pack := func(_ context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
		return ask(in, stream, req)
	}
	return &Session{refs: refs, pack: pack, close: func() error {
		return errors.Join(ignoreClosed(run.Close()), ignoreClosed(end()))
	}}, nil
}

// ask sends wants and haves in one go, and reads up to the pack's beginning.
func ask(in io.WriteCloser, out *bounded, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	var buf bytes.Buffer
	err := errors.Join(req.UploadRequest.Encode(&buf), req.UploadHaves.Encode(&buf, false),
		pktline.NewEncoder(&buf).EncodeString("done\n"))
	if err != nil {
		return nil, err
	}
	if _, err := in.Write(buf.Bytes()); err != nil {
		return nil, fmt.Errorf("asking for commits: %w", err)
	}
	out.expect("answer", maxAnswer)
	res := packp.NewUploadPackResponse(req)
	if err := res.Decode(io.NopCloser(out)); err != nil {
		return nil, fmt.Errorf("asking for commits: %w", err)
	}
	out.expect("pack", maxStream)
	return res, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// shellQuote quotes for the server's shell as git does (sq_quote_buf in its
// quote.c), which git-shell and the forges parse.
func shellQuote(s string) string {
	return "'" + strings.NewReplacer(`'`, `'\''`, `!`, `'\!'`).Replace(s) + "'"
}

// firstBytes keeps the beginning of what a server says to its standard error,
// and hangs up on one that does not stop.
type firstBytes struct {
	said   []byte
	read   chatter
	hangUp func() error
}

func (b *firstBytes) Write(p []byte) (int, error) {
	if room := 1024 - len(b.said); room > 0 {
		b.said = append(b.said, p[:min(room, len(p))]...)
	}
	if _, err := b.read.Write(p); err != nil {
		b.hangUp()
		return 0, err
	}
	return len(p), nil
}
