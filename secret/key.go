package secret

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// anonymous is the type of a stanza for an age key.
const anonymous = "X25519"

// A Recipient is a public key that secrets are encrypted to.
type Recipient struct {
	text      string
	kind, tag string // of its stanza; an age key's has no tag
	key       age.Recipient
}

// String is the key as a config repo has it, without a comment.
func (r Recipient) String() string { return r.text }

// ParseRecipient reads an age recipient, or a line of an ssh .pub file. An error
// says what the text is instead, and shows none of it: it may be a private key.
func ParseRecipient(s string) (Recipient, error) {
	s = strings.TrimSpace(s)
	switch {
	case Private([]byte(s)):
		return Recipient{}, errors.New("is a private key, which belongs in no repo: make a new one")
	case strings.HasPrefix(s, "age1pq1"):
		return Recipient{}, errors.New("is a post-quantum key of age, which cannot be mixed with others")
	case strings.HasPrefix(s, "age1"):
		key, err := age.ParseX25519Recipient(s)
		if err != nil {
			return Recipient{}, errors.New("is not an age recipient: it is damaged, or a plugin's")
		}
		return Recipient{text: key.String(), kind: anonymous, key: key}, nil
	case strings.ContainsAny(s, "\r\n"):
		return Recipient{}, errors.New("is more than one line")
	case !strings.HasPrefix(s, "ssh-ed25519 ") && !strings.HasPrefix(s, "ssh-rsa "):
		return Recipient{}, errors.New("is not a key that age encrypts to")
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s))
	if err != nil {
		return Recipient{}, errors.New("is not an ssh public key: it is damaged")
	}
	return sshRecipient(public)
}

func sshRecipient(public ssh.PublicKey) (Recipient, error) {
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
	key, err := agessh.ParseRecipient(text)
	if err != nil {
		return Recipient{}, errors.New("is an ssh key that age does not encrypt to: ed25519, and rsa of 2048 bits or more, will do")
	}
	// age's ssh stanzas (age.md has none; README, "SSH keys") are tagged with the
	// beginning of the key's hash.
	sum := sha256.Sum256(public.Marshal())
	return Recipient{text: text, kind: public.Type(), tag: base64.RawStdEncoding.EncodeToString(sum[:4]), key: key}, nil
}

// Private reports whether a text holds a private key, of age or in PEM.
func Private(text []byte) bool {
	return bytes.Contains(text, []byte("PRIVATE KEY")) || bytes.Contains(bytes.ToUpper(text), []byte("AGE-SECRET-KEY-"))
}

// WrongRecipient returns what keeps a text from being a recipient, or "".
func WrongRecipient(s string) string {
	if _, err := ParseRecipient(s); err != nil {
		return err.Error()
	}
	return ""
}

// An Identity is a private key.
type Identity struct {
	Recipient
	key age.Identity
}

// A LockedError says that an ssh key has a passphrase.
type LockedError struct{ err error }

func (e *LockedError) Error() string { return "it is protected with a passphrase" }
func (e *LockedError) Unwrap() error { return e.err }

// ParseIdentities reads a file of identities, as age-keygen writes it, or an ssh
// private key, which passphrase opens if it has one; nil is none.
func ParseIdentities(file, passphrase []byte) ([]Identity, error) {
	if bytes.Contains(file, []byte("PRIVATE KEY-----")) {
		id, err := sshIdentity(file, passphrase)
		return []Identity{id}, err
	}
	keys, err := age.ParseIdentities(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("it is neither an age identity nor an ssh private key: %w", err)
	}
	var out []Identity
	for _, key := range keys {
		x, ok := key.(*age.X25519Identity)
		if !ok {
			return nil, errors.New("it holds a post-quantum identity of age, which cannot be mixed with others")
		}
		r := x.Recipient()
		out = append(out, Identity{Recipient{text: r.String(), kind: anonymous, key: r}, x})
	}
	return out, nil
}

func sshIdentity(file, passphrase []byte) (Identity, error) {
	var raw any
	var err error
	if passphrase != nil {
		raw, err = ssh.ParseRawPrivateKeyWithPassphrase(file, passphrase)
	} else {
		raw, err = ssh.ParseRawPrivateKey(file)
	}
	if errors.As(err, new(*ssh.PassphraseMissingError)) {
		return Identity{}, &LockedError{err}
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read the ssh private key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return Identity{}, fmt.Errorf("read the ssh private key: %w", err)
	}
	r, err := sshRecipient(signer.PublicKey())
	if err != nil {
		return Identity{}, fmt.Errorf("it %w", err)
	}
	key, err := identityOf(raw)
	return Identity{r, key}, err
}

// NewIdentity makes an age identity, and the file that keeps it.
func NewIdentity() (Identity, []byte, error) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return Identity{}, nil, err
	}
	r := key.Recipient()
	return Identity{Recipient{text: r.String(), kind: anonymous, key: r}, key}, []byte("# public key: " + r.String() + "\n" + key.String() + "\n"), nil
}

func identityOf(raw any) (age.Identity, error) {
	switch key := raw.(type) {
	case *ed25519.PrivateKey:
		return agessh.NewEd25519Identity(*key)
	case ed25519.PrivateKey:
		return agessh.NewEd25519Identity(key)
	case *rsa.PrivateKey:
		return agessh.NewRSAIdentity(key)
	}
	return nil, fmt.Errorf("it is of a type that age does not decrypt with: %T", raw)
}
