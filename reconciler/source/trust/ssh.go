package trust

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
)

const (
	sshBegin = "-----BEGIN SSH SIGNATURE-----"
	sshEnd   = "-----END SSH SIGNATURE-----"
)

// checkSSH returns why none of the signers vouches for what was signed at a time.
func (k *Keys) checkSSH(signed []byte, armored string, at time.Time) error {
	if !strings.HasSuffix(armored, sshEnd) || strings.Count(armored, sshBegin) != 1 {
		return errMore
	}
	// Unarmor refuses RSA signatures made with SHA-1
	sig, err := sshsig.Unarmor([]byte(armored))
	if err != nil {
		return fmt.Errorf("its signature cannot be read (%w)", err)
	}
	if err := findSigner(k.ssh, sig.PublicKey, at); err != nil {
		return err
	}
	if err := sshsig.Verify(bytes.NewReader(signed), sig, sig.PublicKey, sig.HashAlgorithm, sigNamespace); err != nil {
		return fmt.Errorf("its signature does not fit its content (%w)", err)
	}
	return nil
}

var errMore = errors.New("it has not one signature, but something more or less")
