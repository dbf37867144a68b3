package builtin

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

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
)

const rsaBits = 3072

func sshHostKeys(r *Target, k *kind.SSHHostKeys) error {
	var files []kind.File
	for _, typ := range k.Types {
		name := "ssh_host_" + typ + "_key"
		private, err := keep(r, name, func() ([]byte, error) { return newHostKey(typ) })
		if err != nil {
			return err
		}
		signer, err := ssh.ParsePrivateKey(private)
		if err != nil {
			return fmt.Errorf("the kept %s is damaged; remove it to have a new one made: %w", name, err)
		}
		public := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		files = append(files,
			kind.File{Path: "/etc/ssh/" + name, Mode: 0o600, Content: private},
			kind.File{Path: "/etc/ssh/" + name + ".pub", Content: []byte(public + " root@" + layer.FileName(r.Machine) + "\n")})
	}
	return r.files(files...)
}

func generateKey(typ string) (crypto.PrivateKey, error) {
	switch typ {
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case "rsa":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("host key type %q is not known", typ)
}

func newHostKey(typ string) ([]byte, error) {
	key, err := generateKey(typ)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(block), nil
}
