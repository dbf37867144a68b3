// Package cosign decides whether an image is signed, by signatures that the
// program cosign made with a key (not those of Fulcio's certificates). It is
// told keys and documents, and fetches nothing.
//
// A signature says who made an image, and not that it is the newest: whoever
// has the registry can still offer an older one that was signed. It is of a
// digest; the older form also names the repository, which is compared, the
// newer one does not.
package cosign

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
)

// A Policy says whose signature an image needs.
type Policy struct {
	Keys Keys
	// File is where the keys are, for messages.
	File string
	// Repository is what signatures must name, if they name one; "" is the
	// image's own. Signatures that were copied with an image name the other.
	Repository string
	// Anyone: what nobody has signed will do.
	Anyone bool
}

// A Judge holds the signatures that are found of one image against a policy.
type Judge struct {
	policy     Policy
	repository string // of the image
	digest     string
	seen       int
	reason     error // of the refusal that tells most
}

// Judge begins to judge the image with a digest ("sha256:…") in a repository
// ("host/path").
func (p Policy) Judge(repository, digest string) *Judge {
	return &Judge{policy: p, repository: repository, digest: digest}
}

// Add looks at a layer of what may be a signature, and reports whether it is
// one that counts. Others are noted for Verdict.
func (j *Judge) Add(mediaType string, annotations map[string]string, data []byte) bool {
	var said claim
	var err error
	switch mediaType {
	case SimpleSigning:
		said, err = j.policy.Keys.simple(data, annotations[SignatureAnnotation])
	case Bundle:
		said, err = j.policy.Keys.bundle(data)
	default:
		return false
	}
	if err == nil {
		err = j.compare(said)
	}
	if err != nil {
		j.Refuse(err)
	}
	return err == nil
}

// compare holds what was signed against what is wanted.
func (j *Judge) compare(said claim) error {
	if !slices.Contains(said.digests, j.digest) {
		return fmt.Errorf("it is of another image, %.100q", said.digests)
	}
	if want := cmp.Or(j.policy.Repository, j.repository); said.repository != "" && inFull(said.repository) != inFull(want) {
		return fmt.Errorf("it is of %.200q, and not of %s: set cosign_repository to that name if the image was copied from there", said.repository, want)
	}
	return nil
}

// inFull gives a repository of Docker's registry the one name of many.
func inFull(repository string) string {
	r, err := name.NewRepository(repository)
	if err != nil {
		return repository
	}
	return r.Name()
}

// Refuse notes why something that may be a signature does not count.
func (j *Judge) Refuse(why error) {
	j.seen++
	if j.reason == nil || telling(why) > telling(j.reason) {
		j.reason = why
	}
}

// telling orders reasons by how much they say to who wonders: what the right
// key has signed says most.
func telling(why error) int {
	switch {
	case errors.Is(why, errForm):
		return 0
	case errors.Is(why, errOtherKey):
		return 1
	}
	return 2
}

// Verdict is why no signature counted.
func (j *Judge) Verdict() error {
	return &UnsignedError{Image: j.repository + "@" + j.digest, File: j.policy.File, Found: j.seen, Reason: j.reason}
}

// An UnsignedError says that an image has no signature that counts.
type UnsignedError struct {
	Image  string // repository@digest
	File   string // that has the keys
	Found  int    // signatures that do not count
	Reason error  // of one of them, nil if there is none
}

func (e *UnsignedError) Error() string {
	switch {
	case e.Reason == nil:
		return fmt.Sprintf(`%s is not signed; sign it with "cosign sign --key …", or take cosign_key away`, e.Image)
	case errors.Is(e.Reason, errOtherKey):
		return fmt.Sprintf("%s is not signed with a key of %s, but with another (signatures: %d); sign it with that key, or add the other's public key to the file", e.Image, e.File, e.Found)
	}
	return fmt.Sprintf("%s has no signature that counts (signatures: %d): %v; sign this image with a key of %s", e.Image, e.Found, e.Reason, e.File)
}

func (e *UnsignedError) Unwrap() error { return e.Reason }
