package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

const (
	pgpBegin   = "-----BEGIN PGP SIGNATURE-----"
	pgpEnd     = "-----END PGP SIGNATURE-----"
	pgpKeys    = "-----BEGIN PGP "
	pgpKeysEnd = "-----END PGP PUBLIC KEY BLOCK-----"
)

// addArmored adds the keys of one armored block, which begins at a line.
func (k *Keys) addArmored(block string, line int, file string) error {
	at := fmt.Sprintf("%s:%d", file, line)
	if first, _, _ := strings.Cut(block, "\n"); strings.Contains(first, "PRIVATE") {
		return fmt.Errorf("reading the trusted keys %s: it is a private key, which belongs elsewhere; write the public one (gpg --export --armor)", at)
	}
	decoded, err := armor.Decode(strings.NewReader(block))
	if err != nil {
		return fmt.Errorf("reading the trusted keys %s: the block cannot be read (%w); write what gpg --export --armor prints", at, err)
	}
	data, err := io.ReadAll(decoded.Body)
	if err != nil {
		return fmt.Errorf("reading the trusted keys %s: the block cannot be read (%w); write what gpg --export --armor prints", at, err)
	}
	return k.addRing(data, at)
}

func (k *Keys) addRing(data []byte, at string) error {
	keys, err := openpgp.ReadKeyRing(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("reading the trusted keys %s: it is no keyring (%w); write what gpg --export prints", at, err)
	}
	for _, key := range keys {
		if key.PrivateKey != nil {
			return fmt.Errorf("reading the trusted keys %s: it holds a private key, which belongs elsewhere; write the public one (gpg --export)", at)
		}
	}
	k.pgp = append(k.pgp, keys...)
	return nil
}

// checkPGP returns why none of the keys vouches for what was signed.
func (k *Keys) checkPGP(signed []byte, armored string) error {
	if !strings.HasSuffix(armored, pgpEnd) || strings.Count(armored, pgpBegin) != 1 {
		return errMore
	}
	block, err := armor.Decode(strings.NewReader(armored))
	if err != nil {
		return fmt.Errorf("its signature cannot be read (%w)", err)
	}
	raw, err := io.ReadAll(block.Body)
	if err != nil {
		return fmt.Errorf("its signature cannot be read (%w)", err)
	}
	sig, err := onlySignature(raw)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%016X", *sig.IssuerKeyId)
	signers := k.pgp.EntitiesById(*sig.IssuerKeyId)
	if len(signers) == 0 {
		return fmt.Errorf("it is signed by the key %s, which is not trusted", name)
	}
	for _, owner := range signers {
		if err = verifyPGP(owner, signed, sig); err == nil {
			return nil
		}
	}
	return fmt.Errorf("its signature by the key %s does not count: %w", name, err)
}

// onlySignature refuses all but one signature of a file, byte by byte.
func onlySignature(raw []byte) (*packet.Signature, error) {
	in := packet.NewReader(bytes.NewReader(raw))
	first, err := in.Next()
	if err != nil {
		return nil, fmt.Errorf("its signature cannot be read (%w)", err)
	}
	sig, ok := first.(*packet.Signature)
	if _, err := in.Next(); !ok || !errors.Is(err, io.EOF) {
		return nil, errMore
	}
	if sig.SigType != packet.SigTypeBinary || sig.Version != 4 && sig.Version != 6 || sig.IssuerKeyId == nil {
		return nil, errors.New("its signature is not one that git makes")
	}
	return sig, nil
}
