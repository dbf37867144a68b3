package hooks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

var sshHostKeysHelp = Help{
	Name:    "ssh-host-keys",
	Summary: "give the SSH server the same host keys at every boot",
	Text: `Generates the keys the first time and keeps them on the stage, readable by
root only; they are never in git. All images of the machine share them. Writes
/etc/ssh/ssh_host_TYPE_key (0600) and its .pub (0644) in OpenSSH's format.

types  any of ed25519, rsa (3072 bits) and ecdsa (P-256); ed25519 and rsa if
       they are left out

To change a key, remove its file from the stage's hook state and reconcile with
a changed hook or image.`,
}

const rsaBits = 3072

func (k *SSHHostKeys) render(r *renderer, hook string) error {
	types := k.Types
	if len(types) == 0 {
		types = []string{"ed25519", "rsa"}
	}
	var files []File
	for _, typ := range types {
		name := "ssh_host_" + typ + "_key"
		if _, err := keyGenerator(typ); err != nil {
			return err
		}
		private, err := r.keep(name, func() ([]byte, error) { return newHostKey(typ) })
		if err != nil {
			return err
		}
		signer, err := ssh.ParsePrivateKey(private)
		if err != nil {
			return fmt.Errorf("the kept %s is damaged; remove it to have a new one made: %w", name, err)
		}
		public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		files = append(files,
			File{Path: "/etc/ssh/" + name, Mode: 0o600, Content: private},
			File{Path: "/etc/ssh/" + name + ".pub", Content: []byte(public + " root@" + fileName(r.in.Machine) + "\n")})
	}
	return r.files(hook, files)
}

func keyGenerator(typ string) (func() (crypto.PrivateKey, error), error) {
	switch typ {
	case "ed25519":
		return func() (crypto.PrivateKey, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		}, nil
	case "rsa":
		return func() (crypto.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }, nil
	case "ecdsa":
		return func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }, nil
	}
	return nil, fmt.Errorf("host key type %q is not known; want ed25519, rsa or ecdsa", typ)
}

func newHostKey(typ string) ([]byte, error) {
	generate, err := keyGenerator(typ)
	if err != nil {
		return nil, err
	}
	key, err := generate()
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}
