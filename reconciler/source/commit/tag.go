package commit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// A Tag is what an annotated tag of a commit says.
type Tag struct {
	Hash, Commit plumbing.Hash
	// Name is the tag's own, which a ref need not have.
	Name   string
	Tagger Identity
	// Signature is what the message ends with, "" if it is not signed, and Signed
	// all before it: what the signature is made over.
	Signature string
	Signed    []byte
}

// signatures are the lines that a tag's signature begins with (git's
// gpg-interface.c).
var signatures = []string{"-----BEGIN PGP SIGNATURE-----", "-----BEGIN PGP MESSAGE-----", "-----BEGIN SIGNED MESSAGE-----", "-----BEGIN SSH SIGNATURE-----"}

// ParseTag reads an annotated tag in the one form that git writes: object, type,
// tag, tagger, message, and of a signature the last one, as git does
// (parse_signed_buffer in its gpg-interface.c).
func ParseTag(raw []byte) (*Tag, error) {
	if len(raw) > MaxSize || bytes.IndexByte(raw, 0) >= 0 {
		return nil, fmt.Errorf("it is larger than %d KiB, or holds a zero byte", MaxSize>>10)
	}
	head, _, ok := strings.Cut(string(raw), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) != 4 {
		return nil, errors.New("it has not the four headers of a tag")
	}
	t := &Tag{Hash: plumbing.ComputeHash(plumbing.TagObject, raw)}
	var err error
	if t.Commit, err = objectName(lines[0], "object"); err != nil {
		return nil, err
	}
	if lines[1] != "type commit" {
		return nil, fmt.Errorf("where \"type commit\" belongs is %.60q; tag the commit itself", lines[1])
	}
	if t.Name, ok = strings.CutPrefix(lines[2], "tag "); !ok || t.Name == "" {
		return nil, fmt.Errorf("where its header tag belongs is %.60q", lines[2])
	}
	if t.Tagger, err = parseIdentity(lines[3], "tagger"); err != nil {
		return nil, err
	}
	end := signatureAt(raw, len(head)+len("\n\n"))
	t.Signed, t.Signature = raw[:end], string(raw[end:])
	return t, nil
}

// signatureAt is where the signature begins in a tag whose message begins at at.
func signatureAt(raw []byte, at int) int {
	end := len(raw)
	for line := range bytes.Lines(raw[at:]) {
		if slices.ContainsFunc(signatures, func(begin string) bool { return strings.HasPrefix(string(line), begin) }) {
			end = at
		}
		at += len(line)
	}
	return end
}
