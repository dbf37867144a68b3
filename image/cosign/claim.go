package cosign

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// Media types and what is in their documents.
const (
	// SimpleSigning is the older form (containers-signature(5)): the layer is
	// the payload, and the signature an annotation of it.
	SimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	// SignatureAnnotation holds the base64 of that signature.
	SignatureAnnotation = "dev.cosignproject.cosign/signature"
	// Bundle is the newer form (sigstore's bundle 0.3), complete in itself.
	Bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// PredicateAnnotation says of a bundle's manifest what it states.
	PredicateAnnotation = "dev.sigstore.bundle.predicateType"
	// SignPredicate is what a signature states of an image: nothing but that it
	// is signed. A test's result or a list of contents is no release.
	SignPredicate = "https://sigstore.dev/cosign/sign/v1"

	simpleType    = "cosign container image signature"
	inToto        = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v"
)

var (
	errOtherKey = errors.New("it is made with another key")
	errForm     = errors.New("it cannot be read")
)

// A claim is what a key has signed.
type claim struct {
	digests    []string // of images
	repository string   // that of the image, "" if it doesn't say
}

// simple reads the older form.
func (k Keys) simple(payload []byte, signature string) (claim, error) {
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || signature == "" {
		return claim{}, errForm
	}
	if !k.made(raw, payload) {
		return claim{}, errOtherKey
	}
	var said struct {
		Critical struct {
			Type     string
			Identity struct {
				Reference string `json:"docker-reference"`
			}
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			}
		}
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return claim{}, errForm
	}
	if said.Critical.Type != simpleType {
		return claim{}, fmt.Errorf("it is a %.60q, and not of an image", said.Critical.Type)
	}
	if said.Critical.Identity.Reference == "" {
		return claim{}, errors.New("it names no repository")
	}
	return claim{[]string{said.Critical.Image.Digest}, repositoryOf(said.Critical.Identity.Reference)}, nil
}

// repositoryOf takes tag and digest off a reference.
func repositoryOf(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}

// bundle reads the newer form: a statement in an envelope, or the signature of
// the image's own manifest.
func (k Keys) bundle(data []byte) (claim, error) {
	var b struct {
		MediaType string         `json:"mediaType"`
		Envelope  *dsse.Envelope `json:"dsseEnvelope"`
		Message   *struct {
			Digest struct {
				Algorithm string
				Digest    []byte
			} `json:"messageDigest"`
			Signature []byte
		} `json:"messageSignature"`
	}
	if err := json.Unmarshal(data, &b); err != nil || b.MediaType != Bundle {
		return claim{}, errForm
	}
	switch {
	case b.Envelope != nil && b.Message == nil:
		return k.statement(b.Envelope)
	case b.Envelope == nil && b.Message != nil && b.Message.Digest.Algorithm == "SHA2_256":
		sum := b.Message.Digest.Digest
		if !k.madeOfSum(b.Message.Signature, sum) {
			return claim{}, errOtherKey
		}
		return claim{digests: []string{"sha256:" + hex.EncodeToString(sum)}}, nil
	}
	return claim{}, errForm
}

// statement reads an in-toto statement (version 1) that is signed by DSSE.
func (k Keys) statement(e *dsse.Envelope) (claim, error) {
	payload, err := e.DecodeB64Payload()
	if err != nil || e.PayloadType != inToto || len(e.Signatures) > maxKeys {
		return claim{}, errForm
	}
	signed := dsse.PAE(e.PayloadType, payload)
	if !slices.ContainsFunc(e.Signatures, func(s dsse.Signature) bool {
		raw, err := base64.StdEncoding.DecodeString(s.Sig)
		return err == nil && k.made(raw, signed)
	}) {
		return claim{}, errOtherKey
	}
	var said struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
		Subject       []struct{ Digest map[string]string }
	}
	if err := json.Unmarshal(payload, &said); err != nil || !strings.HasPrefix(said.Type, statementType) {
		return claim{}, errForm
	}
	if said.PredicateType != SignPredicate {
		return claim{}, fmt.Errorf("it states %.100q of the image, which is another thing than to sign it", said.PredicateType)
	}
	var c claim
	for _, s := range said.Subject {
		c.digests = append(c.digests, "sha256:"+s.Digest["sha256"])
	}
	return c, nil
}
