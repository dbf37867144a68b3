package tpm

import (
	"crypto/pbkdf2"
	hash "crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// TokenType is that of systemd-cryptenroll's tokens in a LUKS2 header.
const TokenType = "systemd-tpm2"

// ErrNone says that a disk has no token of that type.
var ErrNone = errors.New("the disk has nothing that a TPM has sealed; enroll it with systemd-cryptenroll --tpm2-device=auto")

// A Sealed is a passphrase that a TPM gives out.
type Sealed struct {
	// PIN says that it takes one.
	PIN       bool
	salt      []byte // of the PIN, nil before systemd 255
	blob      []byte
	pcrs      []int
	bank      int
	algorithm int    // of the key that it is sealed below
	parent    uint32 // that key itself, if it stays in the TPM
}

// String says what it takes besides the TPM.
func (s *Sealed) String() string {
	text := "PCRs " + strings.Trim(strings.ReplaceAll(fmt.Sprint(s.pcrs), " ", "+"), "[]")
	if len(s.pcrs) == 0 {
		text = "no PCR"
	}
	if s.PIN {
		text += " and a PIN"
	}
	return text
}

// Parse reads a token. One that takes more than PCRs and a PIN is refused.
func Parse(token []byte) (*Sealed, error) {
	s, err := parse(token)
	if err != nil {
		return nil, fmt.Errorf("reading how the TPM has sealed it: %w", err)
	}
	return s, nil
}

func parse(token []byte) (*Sealed, error) {
	var t struct {
		Blob      []byte          `json:"tpm2-blob"`
		PCRs      []int           `json:"tpm2-pcrs"`
		Bank      string          `json:"tpm2-pcr-bank"`
		Algorithm string          `json:"tpm2-primary-alg"`
		PIN       bool            `json:"tpm2-pin"`
		Salt      []byte          `json:"tpm2_salt"`
		Parent    []byte          `json:"tpm2_srk"`
		Signed    []int           `json:"tpm2_pubkey_pcrs"`
		Lock      json.RawMessage `json:"tpm2_pcrlock"`
		Argon     json.RawMessage `json:"tpm2_argon2id_memcost"`
		FIDO2     bool            `json:"tpm2-fido2"`
	}
	if err := json.Unmarshal(token, &t); err != nil {
		return nil, err
	}
	if len(t.Signed) > 0 || len(t.Lock) > 0 && string(t.Lock) != "false" || len(t.Argon) > 0 || t.FIDO2 {
		return nil, errors.New("it takes a signature, systemd-pcrlock, argon2 or a FIDO2 key, which is not known here; enroll with --tpm2-pcrs and --tpm2-public-key= alone")
	}
	s := &Sealed{PIN: t.PIN, salt: t.Salt, blob: t.Blob, pcrs: t.PCRs}
	for _, n := range t.PCRs {
		if n < 0 || n > 23 {
			return nil, fmt.Errorf("there is no PCR %d", n)
		}
	}
	switch t.Bank {
	case "", "sha256":
		s.bank = sha256
	case "sha1":
		s.bank = sha1
	default:
		return nil, fmt.Errorf("the bank of PCRs %.16q is not known", t.Bank)
	}
	switch t.Algorithm {
	case "", "ecc":
		s.algorithm = ecc
	case "rsa":
		s.algorithm = rsa
	default:
		return nil, fmt.Errorf("the algorithm %.16q is not known", t.Algorithm)
	}
	if len(t.Parent) >= 4 { // as the TSS writes an object that stays: its handle first
		s.parent = be.Uint32(t.Parent)
	}
	if len(t.Blob) < 4 || len(t.Blob) > maxAnswer/2 {
		return nil, fmt.Errorf("what is sealed has %d bytes", len(t.Blob))
	}
	return s, nil
}

// pinRounds is systemd's number.
const pinRounds = 10000

// Auth is what the TPM is told in place of a PIN.
func (s *Sealed) Auth(pin []byte) ([]byte, error) {
	if len(s.salt) > 0 {
		salted, err := pbkdf2.Key(hash.New, string(pin), s.salt, pinRounds, hash.Size)
		if err != nil {
			return nil, err
		}
		pin = base64.StdEncoding.AppendEncode(nil, salted)
	}
	sum := hash.Sum256(pin)
	return sum[:], nil
}

// Passphrase is that of the key slot, for what the TPM has given out.
func Passphrase(secret []byte) []byte { return base64.StdEncoding.AppendEncode(nil, secret) }
