package cosign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
)

// A Signer signs as cosign does with a key, in the older form, which every version of
// it verifies.
type Signer struct{ key crypto.Signer }

// ParseSigner reads a private key in PEM that nothing protects (PKCS #8, as "openssl
// genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256" writes it). cosign's own are
// encrypted with a password, for which nobody is there.
func ParseSigner(data []byte) (Signer, error) {
	const remedy = `make one with "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"`
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return Signer{}, &KeysError{"has no private key in PEM that nothing protects", remedy}
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Signer{}, &KeysError{"has a private key that cannot be read", remedy}
	}
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return Signer{k}, nil
	case *ecdsa.PrivateKey:
		if bits := k.Curve.Params().BitSize; bits != minECDSA {
			return Signer{}, &KeysError{fmt.Sprintf("has an ECDSA key of %d bits", bits), remedy}
		}
		return Signer{k}, nil
	}
	return Signer{}, &KeysError{"has a private key of another kind than ECDSA and Ed25519", remedy}
}

// Policy is fulfilled by what this key has signed.
func (s Signer) Policy(file string) (Policy, error) {
	public, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		return Policy{}, err
	}
	keys, err := ParseKeys(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	return Policy{Keys: keys, File: file}, err
}

// Sign signs what has a digest ("sha256:…") in a repository ("host/path"): the payload,
// whose media type is SimpleSigning, and what its annotation SignatureAnnotation says.
func (s Signer) Sign(repository, digest string) (payload []byte, signature string, err error) {
	payload, err = json.Marshal(map[string]any{
		"critical": map[string]any{
			"identity": map[string]string{"docker-reference": repository},
			"image":    map[string]string{"docker-manifest-digest": digest},
			"type":     simpleType,
		},
		"optional": nil,
	})
	if err != nil {
		return nil, "", err
	}
	var raw []byte
	if _, whole := s.key.(ed25519.PrivateKey); whole {
		raw, err = s.key.Sign(rand.Reader, payload, crypto.Hash(0))
	} else {
		sum := sha256.Sum256(payload)
		raw, err = s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	return payload, base64.StdEncoding.EncodeToString(raw), err
}
