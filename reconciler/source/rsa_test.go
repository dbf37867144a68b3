package source

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"strings"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/gitboot/gitboot/reconciler/source/trust"
)

// TestRSASignatures signs a commit with one RSA key in two ways: SHA-512 is
// accepted, SHA-1, which no current tool makes, is not.
func TestRSASignatures(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(crypto.Signer(private))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := trust.Read(trusting(t, "", key.PublicKey()))
	if err != nil {
		t.Fatal(err)
	}
	r := newRepo(t)
	r.commit("a", "1")
	raw := r.git("cat-file", "commit", "HEAD") + "\n"
	for algorithm, accepted := range map[string]bool{ssh.KeyAlgoRSASHA512: true, ssh.KeyAlgoRSASHA256: true, ssh.KeyAlgoRSA: false} {
		header := "gpgsig " + strings.ReplaceAll(strings.TrimSpace(signWith(t, key, algorithm, raw)), "\n", "\n ") + "\n"
		signed := strings.Replace(raw, "\n\n", "\n"+header+"\n", 1)
		if err := checkRaw(signed, keys); (err == nil) != accepted {
			t.Errorf("%s: %v, want accepted %v", algorithm, err, accepted)
		}
	}
}

// signWith makes an SSH signature (OpenSSH's PROTOCOL.sshsig) by any algorithm.
func signWith(t *testing.T, key ssh.Signer, algorithm, message string) string {
	t.Helper()
	sum := sha512.Sum512([]byte(message))
	blob := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{"git", "", "sha512", string(sum[:])})...)
	sig, err := key.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, blob, algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return string(sshsig.Armor(&sshsig.Signature{Version: 1, PublicKey: key.PublicKey(), Namespace: "git", HashAlgorithm: sshsig.HashSHA512, Signature: sig}))
}
