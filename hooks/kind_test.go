package hooks

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/gitboot/gitboot/hooks/check"
)

func keysOfAllTypes(t testing.TB) []string {
	t.Helper()
	lines := []string{
		publicKey,
		"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo= token",
	}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := []any{&small.PublicKey}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public = append(public, &key.PublicKey)
	}
	for _, key := range public {
		p, err := ssh.NewPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p))))
	}
	return lines
}

// What is taken, OpenSSH's format as another implementation reads it takes too.
func TestKeysAreKeys(t *testing.T) {
	for _, line := range keysOfAllTypes(t) {
		for _, good := range []string{line, line + " a comment", `restrict,command="echo \"a b\"",from="10.0.0.0/8" ` + line} {
			if wrong := check.WrongKey(good); wrong != "" {
				t.Errorf("%s: %s", good, wrong)
			}
		}
		damage(t, line)
	}
}

// damage changes each byte of the key's data in turn, and its length.
func damage(t *testing.T, line string) {
	t.Helper()
	typ, data, _ := strings.Cut(line, " ")
	data, _, _ = strings.Cut(data, " ")
	blob, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	check := func(changed []byte) {
		line := typ + " " + base64.StdEncoding.EncodeToString(changed)
		_, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if check.WrongKey(line) == "" && err != nil {
			t.Errorf("%s is taken, and is no key: %v", line, err)
		}
	}
	for i := range blob {
		changed := bytes.Clone(blob)
		changed[i] ^= 0x81
		check(changed)
		check(blob[:i])
	}
	check(append(bytes.Clone(blob), 0))
}
