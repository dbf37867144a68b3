package joining

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/internal/proxy"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// Files beside agent.toml.
const (
	keyName   = "deploy_key"
	hostsName = "known_hosts"
	tokenName = "token"
)

// silence is how long a server may say nothing.
const silence = 30 * time.Second

// reached settles how the repo is reached, until it can be read.
func (j *joiner) reached(ctx context.Context) error {
	j.reach = transport.Options{URL: j.Flags.Repo, Proxy: proxy.Settings{}}
	switch j.at.By {
	case transport.ByPath:
		return nil // the plan looks
	case transport.BySSH:
		j.reach.SSHKeyFile = cmp.Or(j.before.SSHKeyFile, filepath.Join(j.dir, keyName))
		j.reach.KnownHostsFile = cmp.Or(j.before.KnownHostsFile, filepath.Join(j.dir, hostsName))
		if err := j.keys(); err != nil {
			return err
		}
	case transport.ByHTTPS:
		j.reach.CAFile, j.reach.TokenFile = j.before.CAFile, j.before.TokenFile
		if path := filepath.Join(j.dir, tokenName); j.reach.TokenFile == "" && there(path) {
			j.reach.TokenFile = path
		}
	}
	for {
		err := j.look(ctx)
		if err == nil {
			j.say("%s can be read.\n", j.Flags.Repo)
			return nil
		}
		if err := j.mend(ctx, err); err != nil {
			return err
		}
	}
}

// look reads what the server has.
func (j *joiner) look(ctx context.Context) error {
	server, err := transport.New(j.reach, j.at)
	if err != nil {
		return err
	}
	allowed := &transport.Silence{After: silence}
	session, err := server.Open(ctx, allowed)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	return session.Close()
}

// mend has a person put right why the repo cannot be read. It returns what nobody here
// can.
func (j *joiner) mend(ctx context.Context, err error) error {
	stranger, refused := (*transport.HostKeyError)(nil), (*transport.AuthError)(nil)
	switch empty := (*ref.EmptyError)(nil); {
	case errors.As(err, &empty):
		return err
	case errors.As(err, &stranger) && !stranger.Changed:
		return j.believe(ctx, stranger)
	case errors.As(err, &refused) && j.at.By == transport.BySSH:
		return j.authorize(ctx)
	case errors.As(err, &refused):
		return j.token(ctx, refused)
	}
	return err
}

// believe notes a host's key if somebody says that it is right.
func (j *joiner) believe(ctx context.Context, stranger *transport.HostKeyError) error {
	switch {
	case j.hostKey == stranger.Fingerprint:
	case j.hostKey != "":
		return fmt.Errorf("the host key of %s is %s, and not %s, which --host-key says: somebody may be listening in", stranger.Host, stranger.Fingerprint, j.hostKey)
	default:
		j.say("%s shows the host key\n\n    %s\n\nCompare it with what the server's owner publishes.", stranger.Host, stranger.Fingerprint)
		right, err := j.agreed(ctx, "Is it the right one?")
		if err == nil && !right {
			err = errors.New("the host key is not believed; nothing was sent to that server")
		}
		if err != nil {
			return err
		}
	}
	data, err := os.ReadFile(stranger.KnownHostsFile)
	if err != nil {
		return err
	}
	return durable.WriteFile(stranger.KnownHostsFile, append(data, stranger.Line+"\n"...), 0o644)
}

// authorize shows the key that the server does not know.
func (j *joiner) authorize(ctx context.Context) error {
	public, err := publicKey(j.reach.SSHKeyFile)
	if err != nil {
		return err
	}
	j.say("The server does not let this machine's key read the repo. Add it there, as a deploy\nkey that may only read:\n\n    %s\n", public)
	return j.enter(ctx, "Press Enter when it is added.")
}

// token asks for what opens a repo over https.
func (j *joiner) token(ctx context.Context, refused *transport.AuthError) error {
	j.say("%s lets nobody read it without a token, or not with this one (%s). Make one that may only\nread this repo.", refused.URL, refused.With)
	token, err := j.secret(ctx, "Token:")
	if err != nil {
		return err
	}
	if token == "" {
		return errors.New("no token was given; make the repo readable by all, or run it again with one")
	}
	j.reach.TokenFile = filepath.Join(j.dir, tokenName)
	return durable.WriteFile(j.reach.TokenFile, []byte(token+"\n"), 0o600)
}

// keys makes this machine's key and the file of hosts' keys, unless they are there.
func (j *joiner) keys() error {
	if !there(j.reach.KnownHostsFile) {
		if err := durable.WriteFile(j.reach.KnownHostsFile, nil, 0o644); err != nil {
			return err
		}
	}
	if there(j.reach.SSHKeyFile) {
		return owned.Check(j.reach.SSHKeyFile)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // a comment, for people
	block, err := ssh.MarshalPrivateKey(private, "gitboot on "+host)
	if err != nil {
		return err
	}
	return durable.WriteFile(j.reach.SSHKeyFile, pem.EncodeToMemory(block), 0o600)
}

// publicKey is the line by which a server knows the key in a file.
func publicKey(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	key, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	host, _ := os.Hostname() // a comment, for people
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey()))) + " gitboot@" + host, nil
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
