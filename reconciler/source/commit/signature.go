package commit

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/hiddeco/sshsig"
)

const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
)

// Check returns why none of the keys vouches for a commit.
func Check(c *Commit, keys []Signer) error {
	armored := strings.TrimSpace(c.Signature)
	switch {
	case armored == "":
		return errors.New("it is not signed")
	case c.Second:
		return errors.New("it has a signature for SHA-256, too, which nothing vouches for")
	case !strings.HasPrefix(armored, armorBegin):
		return errors.New("its signature is not an SSH one, and no other kind is supported")
	case !strings.HasSuffix(armored, armorEnd) || strings.Count(armored, armorBegin) != 1:
		return errors.New("it has not one signature, but something more or less")
	}
	// Unarmor refuses RSA signatures made with SHA-1
	sig, err := sshsig.Unarmor([]byte(armored))
	if err != nil {
		return fmt.Errorf("its signature cannot be read (%w)", err)
	}
	if err := findSigner(keys, sig.PublicKey, c.Committer.When); err != nil {
		return err
	}
	if err := sshsig.Verify(bytes.NewReader(c.Signed), sig, sig.PublicKey, sig.HashAlgorithm, sigNamespace); err != nil {
		return fmt.Errorf("its signature does not fit its content (%w)", err)
	}
	return nil
}
