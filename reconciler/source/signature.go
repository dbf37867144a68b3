package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/hiddeco/sshsig"
)

const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
)

// verify checks a commit's signature, if trusted keys are given. As the
// commit names its whole tree and history, only the one commit is checked.
func (s *Source) verify(h plumbing.Hash) error {
	if s.opts.TrustedKeys == "" {
		return nil
	}
	keys, err := readSigners(s.opts.TrustedKeys)
	if err != nil {
		return err
	}
	commit, err := s.clone.commit(h)
	if err != nil {
		return fmt.Errorf("reading commit %s: %w", h, err)
	}
	s.clone.mu.Lock()
	defer s.clone.mu.Unlock()
	if err := checkSignature(commit, keys); err != nil {
		return &UntrustedError{Hash: h.String(), Reason: err.Error(), TrustedKeys: s.opts.TrustedKeys}
	}
	return nil
}

func checkSignature(commit *object.Commit, keys []signer) error {
	armored := strings.TrimSpace(commit.PGPSignature) // go-git's name for every kind
	switch {
	case armored == "":
		return errors.New("it is not signed")
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
	if err := findSigner(keys, sig.PublicKey, commit.Committer.When); err != nil {
		return err
	}
	payload, err := signedPart(commit)
	if err != nil {
		return err
	}
	if err := sshsig.Verify(bytes.NewReader(payload), sig, sig.PublicKey, sig.HashAlgorithm, sigNamespace); err != nil {
		return fmt.Errorf("its signature does not fit its content (%w)", err)
	}
	return nil
}

// signedPart is the commit object without its signature headers, byte for
// byte. It must name the tree that will be used: nothing in the headers that
// were left out may.
func signedPart(commit *object.Commit) ([]byte, error) {
	var o plumbing.MemoryObject
	if err := commit.EncodeWithoutSignature(&o); err != nil {
		return nil, fmt.Errorf("it cannot be read (%w)", err)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	payload, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(payload, []byte("tree "+commit.TreeHash.String()+"\n")) {
		return nil, errors.New("its signed part does not name its tree")
	}
	return payload, nil
}
