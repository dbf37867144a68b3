// Package trust says whether a key that is trusted has signed a commit or an
// annotated tag: with SSH, by the lines of an allowed_signers file, or with
// OpenPGP, by the keys of a keyring.
//
// # The file
//
// It is one of text, with lines of an allowed_signers file, or armored blocks as
// gpg --export --armor writes them, or both; or a keyring as gpg --export writes
// it. A key is used as far as it goes: an SSH key within its line's times, at the
// commit's time; an OpenPGP key or subkey that may sign and was neither expired
// at the signature's time nor ever revoked. Signatures over SHA-1 and older are
// refused, and so are RSA keys below 2048 bits and DSA.
package trust

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/gitboot/gitboot/reconciler/source/commit"
)

// maxFile bounds what is read of a file of keys.
const maxFile = 8 << 20

// Keys are those that are trusted.
type Keys struct {
	ssh []signer
	pgp openpgp.EntityList
}

// Read reads a file of keys.
func Read(file string) (*Keys, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading the trusted keys: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the trusted keys: %w", err)
	case len(data) > maxFile:
		return nil, fmt.Errorf("reading the trusted keys %s: it is larger than %d MiB; export those keys alone that are trusted", file, maxFile>>20)
	}
	k := &Keys{}
	if len(data) > 0 && data[0]&0x80 != 0 { // every OpenPGP packet begins so
		err = k.addRing(data, file)
	} else {
		err = k.addText(string(data), file)
	}
	if err == nil && len(k.ssh)+len(k.pgp) == 0 {
		err = fmt.Errorf("reading the trusted keys %s: no key in it may sign for git; add one, as: you@example.org ssh-ed25519 AAAA…, or what gpg --export --armor prints", file)
	}
	return k, err
}

// addText adds lines of an allowed_signers file, and armored blocks among them.
func (k *Keys) addText(text, file string) error {
	lines := strings.Split(text, "\n")
	for n := 0; n < len(lines); {
		end := n
		for end < len(lines) && !strings.HasPrefix(lines[end], pgpKeys) {
			end++
		}
		more, err := readSigners(lines[n:end], n+1, file)
		if err != nil {
			return err
		}
		k.ssh = append(k.ssh, more...)
		if n = end; n == len(lines) {
			break
		}
		for end < len(lines) && strings.TrimSpace(lines[end]) != pgpKeysEnd {
			end++
		}
		end = min(end+1, len(lines))
		if err := k.addArmored(strings.Join(lines[n:end], "\n")+"\n", n+1, file); err != nil {
			return err
		}
		n = end
	}
	return nil
}

// Commit returns why none of the keys vouches for a commit.
func (k *Keys) Commit(c *commit.Commit) error {
	if c.Second {
		return errors.New("it has a signature for SHA-256, too, which nothing vouches for")
	}
	return k.check(c.Signed, c.Signature, c.Committer.When)
}

// Tag returns why none of the keys vouches for what a ref names as a tag. The
// tag has to be of that name: it would vouch for any version else.
func (k *Keys) Tag(t *commit.Tag, ref string) error {
	if "refs/tags/"+t.Name != ref {
		return fmt.Errorf("it calls itself %.100q", t.Name)
	}
	return k.check(t.Signed, t.Signature, t.Tagger.When)
}

func (k *Keys) check(signed []byte, signature string, at time.Time) error {
	armored := strings.TrimSpace(signature)
	switch {
	case armored == "":
		return errors.New("it is not signed")
	case strings.HasPrefix(armored, sshBegin):
		return k.checkSSH(signed, armored, at)
	case strings.HasPrefix(armored, pgpBegin):
		return k.checkPGP(signed, armored)
	}
	return errors.New("its signature is neither SSH's nor OpenPGP's, and no other kind is supported")
}
