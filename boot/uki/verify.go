package uki

import (
	"bytes"
	"crypto/x509"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrUnsigned is that of a program without any signature.
var ErrUnsigned = errors.New("it is not signed")

// maxTable is more than any table of certificates is long.
const maxTable = 1 << 20

// Verify returns the certificate by which a program is trusted: one of these, which has
// signed the program as it is, or has signed who did. As firmware does, it looks at no
// times.
func Verify(path string, trusted []*x509.Certificate) (*x509.Certificate, error) {
	by, _, err := trustedIn(path, trusted)
	return by, err
}

// SignatureIn is the signature that makes a program's file trusted by this signer, for
// others who make the same program (Image.Signature).
func (s *Signer) SignatureIn(path string) ([]byte, error) {
	_, signature, err := trustedIn(path, []*x509.Certificate{s.Certificate})
	return signature, err
}

// trustedIn is the signature by which a program's file is trusted, and by which
// certificate.
func trustedIn(path string, trusted []*x509.Certificate) (by *x509.Certificate, signature []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	p, err := open(f, info.Size())
	if err == nil {
		by, signature, err = p.verify(trusted)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return by, signature, nil
}

func (p *signable) verify(trusted []*x509.Certificate) (by *x509.Certificate, signature []byte, err error) {
	all, err := p.signatures()
	if err != nil {
		return nil, nil, err
	}
	digest, err := p.digest()
	if err != nil {
		return nil, nil, err
	}
	why := ErrUnsigned
	for _, data := range all {
		by, err := verify(data, digest, trusted)
		if err == nil {
			return by, data, nil
		}
		why = err
	}
	return nil, nil, why
}

// verify returns the certificate by which a signature of a program with this digest is
// trusted.
func verify(data, digest []byte, trusted []*x509.Certificate) (*x509.Certificate, error) {
	s, err := parse(data)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(s.digest, digest) {
		return nil, errors.New("it was changed after it was signed")
	}
	if by := s.trusted(trusted); by != nil {
		return by, nil
	}
	return nil, fmt.Errorf("it is signed by %.100q, which is not trusted", s.by.Subject.CommonName)
}

// signatures are the entries of the table of certificates.
func (p *signable) signatures() (all [][]byte, err error) {
	if p.tableSize > maxTable {
		return nil, errors.New("its signatures are longer than any are")
	}
	table := make([]byte, p.tableSize)
	if _, err := p.ReadAt(table, p.table); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for len(table) >= entryHeader {
		n := int64(binary.LittleEndian.Uint32(table))
		if n < entryHeader || n > int64(len(table)) {
			return nil, errSignature
		}
		if binary.LittleEndian.Uint16(table[6:]) == kindPKCS7 {
			all = append(all, table[entryHeader:n])
		}
		table = table[min(up(n, aligned), int64(len(table))):]
	}
	return all, nil
}

// trusted is the certificate by which a signature is, nil if it is not.
func (s signature) trusted(trusted []*x509.Certificate) *x509.Certificate {
	chain := s.by
	for range len(s.others) + 1 {
		for _, c := range trusted {
			if c.Equal(chain) || bytes.Equal(chain.RawIssuer, c.RawSubject) && chain.CheckSignatureFrom(c) == nil {
				return c
			}
		}
		next := s.issuer(chain)
		if next == nil {
			return nil
		}
		chain = next
	}
	return nil
}

// issuer is who has signed a certificate, of those that came with the signature.
func (s signature) issuer(of *x509.Certificate) *x509.Certificate {
	for _, c := range s.others {
		if !c.Equal(of) && bytes.Equal(of.RawIssuer, c.RawSubject) && of.CheckSignatureFrom(c) == nil {
			return c
		}
	}
	return nil
}

// Verify reports why a program is not as this signer has signed it.
func (s *Signer) Verify(path string) error {
	_, err := Verify(path, []*x509.Certificate{s.Certificate})
	return err
}

// Signed reports whether a program of the firmware's carries a signature: an entry in
// the table of certificates (PE format, "The Attribute Certificate Table"). Whose it is,
// is not looked at.
func Signed(path string) (bool, error) {
	f, err := pe.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	header, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	return ok && header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_SECURITY].Size > 0, nil
}
