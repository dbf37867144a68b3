// Package secret opens and makes the secrets of a config repo: files that are
// encrypted with age to the keys of machines and of people. The keys are those
// of age itself (age1…) and of ssh (ssh-ed25519, ssh-rsa), so that the key which
// a machine's ssh server has will do. What is written here, the program age
// reads, and the other way round.
//
// It reads no files, and keeps nothing that it has opened.
//
// Format: age-encryption.org/v1 (C2SP age.md), binary or armored.
package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const (
	// MaxFile bounds an encrypted file, in bytes, and so what is in it.
	MaxFile = 1 << 20
	// MaxRecipients bounds how many keys a file is encrypted to: no age reads
	// a header of more than 1,024.
	MaxRecipients = 1000
)

// Seal encrypts to recipients. The result is armored: text, which git shows and
// no conversion of line ends harms.
func Seal(plain []byte, to []Recipient) ([]byte, error) {
	switch {
	case len(to) == 0:
		return nil, errors.New("there is nobody to encrypt to")
	case len(to) > MaxRecipients:
		return nil, fmt.Errorf("encrypt to %d keys: age allows %d", len(to), MaxRecipients)
	}
	var keys []age.Recipient
	for _, r := range to {
		keys = append(keys, r.key)
	}
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, keys...)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	_, err = w.Write(plain)
	if err = errors.Join(err, w.Close(), text.Close()); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if out.Len() > MaxFile {
		return nil, fmt.Errorf("it is too large: encrypted it has %d bytes, and %d are allowed", out.Len(), MaxFile)
	}
	return out.Bytes(), nil
}

// ErrNotForUs says that none of the identities can read a file.
var ErrNotForUs = errors.New("it is not encrypted to any of the keys at hand")

// Open decrypts a file. The caller wipes what it gets when it has no more use
// for it.
func Open(file []byte, with []Identity) (plain []byte, err error) {
	var keys []age.Identity
	for _, id := range with {
		keys = append(keys, id.key)
	}
	aside(func() { plain, err = open(file, keys) })
	return plain, err
}

func open(file []byte, keys []age.Identity) ([]byte, error) {
	if len(keys) == 0 {
		return nil, ErrNotForUs
	}
	r, err := age.Decrypt(unarmored(file), keys...)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return nil, ErrNotForUs
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	plain := make([]byte, len(file)) // what it holds is shorter, so that nothing grows and leaves copies
	n, err := io.ReadFull(r, plain)
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		Wipe(plain)
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return plain[:n:n], nil
}

// unarmored reads a file in either form.
func unarmored(file []byte) io.Reader {
	if text := bytes.TrimLeft(file, " \t\r\n"); bytes.HasPrefix(text, []byte(armor.Header)) {
		return armor.NewReader(bytes.NewReader(text))
	}
	return bytes.NewReader(file)
}

// A Header is what a file tells without being decrypted: of each recipient a
// stanza, which tells an ssh key by its tag, and of an age key nothing.
type Header struct{ stanzas []*age.Stanza }

// ReadHeader reads the header of a file. An error says what the file is instead.
func ReadHeader(file []byte) (Header, error) {
	if len(file) > MaxFile {
		return Header{}, fmt.Errorf("is larger than %d KiB", MaxFile>>10)
	}
	var h Header
	_, err := age.Decrypt(unarmored(file), &h)
	switch {
	case h.stanzas == nil && bytes.HasPrefix(file, []byte("age-encryption.org/")), h.stanzas == nil && bytes.Contains(file, []byte(armor.Header)):
		return h, fmt.Errorf("is a damaged age file: %w", err)
	case h.stanzas == nil:
		return h, errors.New("is not a file that age has encrypted")
	case h.count("scrypt") > 0:
		return h, errors.New("is encrypted with a passphrase, which no machine can type")
	}
	return h, nil
}

// Unwrap notes the stanzas: age hands them to each identity.
func (h *Header) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	h.stanzas = stanzas
	return nil, age.ErrIncorrectIdentity
}

func (h Header) count(kind string) (n int) {
	for _, s := range h.stanzas {
		if s.Type == kind {
			n++
		}
	}
	return n
}

// A Mismatch is how what a file is encrypted to differs from what it should be.
// The zero Mismatch is none.
type Mismatch struct {
	// Missing are recipients that cannot read the file.
	Missing []Recipient
	// Unsure are age keys of which Lacking at least cannot read it: its header
	// does not tell which.
	Unsure  []Recipient
	Lacking int
	// Others is how many others than the recipients can read it.
	Others int
}

// None reports whether a file is encrypted to whom it should be, as far as its
// header tells.
func (m Mismatch) None() bool { return len(m.Missing) == 0 && m.Lacking == 0 && m.Others == 0 }

// Compare compares a file's header with who should be able to read it.
func (h Header) Compare(want []Recipient) (m Mismatch) {
	tags := map[[2]string]bool{}
	for _, s := range h.stanzas {
		if s.Type != anonymous && len(s.Args) > 0 {
			tags[[2]string{s.Type, s.Args[0]}] = true
		}
	}
	for _, r := range want {
		id := [2]string{r.kind, r.tag}
		switch {
		case r.tag == "":
			m.Unsure = append(m.Unsure, r)
		case tags[id]:
			delete(tags, id)
		default:
			m.Missing = append(m.Missing, r)
		}
	}
	for id := range tags {
		if !strings.HasSuffix(id[0], "-grease") { // which belongs to nobody, by age's specification
			m.Others++
		}
	}
	n := h.count(anonymous) - len(m.Unsure)
	m.Lacking, m.Others = max(0, -n), m.Others+max(0, n)
	if m.Lacking == 0 {
		m.Unsure = nil
	} else if h.count(anonymous) == 0 {
		m.Missing, m.Unsure, m.Lacking = append(m.Missing, m.Unsure...), nil, 0
	}
	return m
}
