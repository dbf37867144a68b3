package cosign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

const (
	// MaxKeyFile is the size of a file of keys, in bytes.
	MaxKeyFile = 64 << 10
	maxKeys    = 16
	// Shorter ones are broken, longer ones take long to verify by.
	minRSA, maxRSA = 2048, 8192
	minECDSA       = 256
)

// Keys are those that may have signed: any one of them is enough, so that an
// old and a new one can be valid at once.
type Keys struct {
	list []crypto.PublicKey
	sum  string
}

// A KeysError says why a file's keys cannot be used.
type KeysError struct{ Wrong, Remedy string }

func (e *KeysError) Error() string { return e.Wrong + "; " + e.Remedy }

// ParseKeys reads public keys in PEM, as cosign generate-key-pair and openssl
// write them. What is between the keys is a comment.
func ParseKeys(data []byte) (Keys, error) {
	var keys Keys
	var sums [][]byte
	if len(data) > MaxKeyFile {
		return Keys{}, &KeysError{fmt.Sprintf("is larger than %d KiB", MaxKeyFile>>10), "leave nothing but public keys in it"}
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		key, err := parseKey(block)
		if err != nil {
			return Keys{}, err
		}
		if keys.list = append(keys.list, key); len(keys.list) > maxKeys {
			return Keys{}, &KeysError{fmt.Sprintf("has more than %d keys", maxKeys), "leave out old ones"}
		}
		sum := sha256.Sum256(block.Bytes)
		sums = append(sums, sum[:])
	}
	if bytes.Count(data, []byte("-----BEGIN")) != len(keys.list) {
		return Keys{}, &KeysError{"has a key in it that is cut or damaged", "copy the file again"}
	}
	if len(keys.list) == 0 {
		return Keys{}, &KeysError{"has no public key in PEM", `write what "cosign public-key" prints, -----BEGIN PUBLIC KEY----- and so on`}
	}
	slices.SortFunc(sums, bytes.Compare)
	sum := sha256.Sum256(bytes.Join(sums, nil))
	keys.sum = hex.EncodeToString(sum[:])
	return keys, nil
}

// Sum is a hash of the keys, "" of none, whatever their order and the comments.
func (k Keys) Sum() string { return k.sum }

func parseKey(block *pem.Block) (key crypto.PublicKey, err error) {
	switch {
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, &KeysError{"holds a private key, which whoever reads this file can sign with", `make a new pair, and write what "cosign public-key" prints`}
	case block.Type == "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	default:
		return nil, &KeysError{fmt.Sprintf("holds a %.40q, which is no public key", block.Type), "write -----BEGIN PUBLIC KEY----- and so on"}
	}
	if err != nil {
		return nil, &KeysError{"has a public key in it that cannot be read", "copy the file again"}
	}
	switch k := key.(type) {
	case ed25519.PublicKey:
		return key, nil
	case *ecdsa.PublicKey:
		if bits := k.Curve.Params().BitSize; bits < minECDSA {
			return nil, &KeysError{fmt.Sprintf("has an ECDSA key of %d bits", bits), "use P-256, as cosign does"}
		}
		return key, nil
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return nil, &KeysError{fmt.Sprintf("has an RSA key of %d bits", bits), fmt.Sprintf("use one of %d to %d", minRSA, maxRSA)}
		}
		return key, nil
	}
	return nil, &KeysError{"has a key of a kind that cosign does not sign with", "use ECDSA, Ed25519 or RSA"}
}

// made reports whether one of the keys made a signature of a message.
func (k Keys) made(signature, message []byte) bool {
	return slices.ContainsFunc(k.list, func(key crypto.PublicKey) bool {
		switch key := key.(type) {
		case ed25519.PublicKey:
			return madeEd25519(key, signature, message)
		case *ecdsa.PublicKey:
			return slices.ContainsFunc(sums(key, message), func(sum []byte) bool { return ecdsa.VerifyASN1(key, sum, signature) })
		}
		sum := sha256.Sum256(message)
		return madeOf(key, signature, sum[:])
	})
}

// madeEd25519 knows the two ways of that kind (RFC 8032): of the message, and of
// its SHA-512, as cosign does it.
func madeEd25519(key ed25519.PublicKey, signature, message []byte) bool {
	sum := sha512.Sum512(message)
	return ed25519.VerifyWithOptions(key, sum[:], signature, &ed25519.Options{Hash: crypto.SHA512}) == nil ||
		ed25519.Verify(key, message, signature)
}

// sums are what a key may have signed of a message: SHA-256 with all curves, as
// cosign does by default, or what goes with the curve.
func sums(key *ecdsa.PublicKey, message []byte) [][]byte {
	usual := sha256.Sum256(message)
	list := [][]byte{usual[:]}
	switch key.Curve.Params().BitSize {
	case 384:
		sum := sha512.Sum384(message)
		list = append(list, sum[:])
	case 521:
		sum := sha512.Sum512(message)
		list = append(list, sum[:])
	}
	return list
}

// madeOfSum reports whether one of the keys made a signature of what has this
// SHA-256. Ed25519 needs the message itself.
func (k Keys) madeOfSum(signature, sum []byte) bool {
	return slices.ContainsFunc(k.list, func(key crypto.PublicKey) bool { return madeOf(key, signature, sum) })
}

func madeOf(key crypto.PublicKey, signature, sum []byte) bool {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, sum, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum, signature) == nil
	}
	return false
}
