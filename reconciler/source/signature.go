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
	raw, err := s.clone.rawCommit(h)
	if err != nil {
		return fmt.Errorf("reading commit %s: %w", h, err)
	}
	commit, err := s.clone.commit(h)
	if err != nil {
		return fmt.Errorf("reading commit %s: %w", h, err)
	}
	if err := checkSignature(raw, commit, keys); err != nil {
		return &UntrustedError{Hash: h.String(), Reason: err.Error(), TrustedKeys: s.opts.TrustedKeys}
	}
	return nil
}

func checkSignature(raw []byte, commit *object.Commit, keys []signer) error {
	payload, armored, err := splitSignature(raw)
	if err != nil {
		return err
	}
	switch {
	case len(armored) == 0:
		return errors.New("it is not signed")
	case !bytes.HasPrefix(armored, []byte("-----BEGIN SSH SIGNATURE-----")):
		return errors.New("its signature is not an SSH one, and no other kind is supported")
	}
	// Unarmor refuses RSA signatures made with SHA-1
	sig, err := sshsig.Unarmor(armored)
	if err != nil {
		return fmt.Errorf("its signature cannot be read (%w)", err)
	}
	if err := findSigner(keys, sig.PublicKey, commit.Committer.When); err != nil {
		return err
	}
	if err := sshsig.Verify(bytes.NewReader(payload), sig, sig.PublicKey, sig.HashAlgorithm, sigNamespace); err != nil {
		return fmt.Errorf("its signature does not fit its content (%w)", err)
	}
	return nil
}

// splitSignature takes the signature out of a commit object, as git's
// parse_signed_commit does: what remains, byte for byte, is what was signed.
func splitSignature(raw []byte) (payload, signature []byte, err error) {
	header, body, ok := bytes.Cut(raw, []byte("\n\n"))
	if !ok {
		return raw, nil, nil
	}
	var inSignature, dropping bool
	for _, line := range strings.SplitAfter(string(header)+"\n", "\n") {
		if text, more := strings.CutPrefix(line, " "); more && (inSignature || dropping) {
			if inSignature {
				signature = append(signature, text...)
			}
			continue
		}
		text, begins := strings.CutPrefix(line, "gpgsig ")
		if begins && signature != nil {
			return nil, nil, errors.New("it has two signatures")
		}
		inSignature, dropping = begins, strings.HasPrefix(line, "gpgsig-sha256 ")
		switch {
		case begins:
			signature = append(signature, text...)
		case !dropping:
			payload = append(payload, line...)
		}
	}
	payload = append(payload, '\n')
	return append(payload, body...), signature, nil
}

func (c *clone) rawCommit(h plumbing.Hash) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o, err := c.st.EncodedObject(plumbing.CommitObject, h)
	if err != nil {
		return nil, err
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}
