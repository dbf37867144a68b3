package source

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

// verify checks a commit's signature, if trusted keys are given. As the
// commit names its whole tree and history, only the one commit is checked.
func (s *Source) verify(c *commit) error {
	if s.opts.TrustedKeys == "" {
		return nil
	}
	keys, err := readSigners(s.opts.TrustedKeys)
	if err != nil {
		return err
	}
	if err := checkSignature(c, keys); err != nil {
		return &UntrustedError{Hash: c.hash.String(), Reason: err.Error(), TrustedKeys: s.opts.TrustedKeys}
	}
	return nil
}

func checkSignature(c *commit, keys []signer) error {
	armored := strings.TrimSpace(c.signature)
	switch {
	case armored == "":
		return errors.New("it is not signed")
	case c.second:
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
	if err := findSigner(keys, sig.PublicKey, c.committer.when); err != nil {
		return err
	}
	if err := sshsig.Verify(bytes.NewReader(c.signed), sig, sig.PublicKey, sig.HashAlgorithm, sigNamespace); err != nil {
		return fmt.Errorf("its signature does not fit its content (%w)", err)
	}
	return nil
}
