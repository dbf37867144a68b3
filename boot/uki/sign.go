package uki

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gitboot/gitboot/internal/owned"
)

// leastBits are those of the shortest RSA key that signs.
const leastBits = 2048

// A Signer signs programs of the firmware's, so that equal ones have equal signatures.
type Signer struct {
	Certificate *x509.Certificate
	key         *rsa.PrivateKey // nil: it can only say what it would have signed
}

// LoadSigner reads a private key, "" for none, and its certificate, files in PEM form.
// A key that others may read, or could replace, is refused.
func LoadSigner(key, certificate string) (*Signer, error) {
	s, err := loadSigner(key, certificate)
	if err != nil {
		return nil, fmt.Errorf("sign a boot image: %w", err)
	}
	return s, nil
}

func loadSigner(key, certificate string) (s *Signer, err error) {
	s = new(Signer)
	if s.Certificate, err = ReadCertificate(certificate); err != nil {
		return nil, err
	}
	public, ok := s.Certificate.PublicKey.(*rsa.PublicKey)
	if !ok || public.N.BitLen() < leastBits {
		return nil, fmt.Errorf("%s is not of an RSA key of %d bits or more, which is what all firmware knows", certificate, leastBits)
	}
	if key == "" {
		return s, nil
	}
	if s.key, err = readKey(key); err != nil {
		return nil, err
	}
	if !s.key.PublicKey.Equal(public) {
		return nil, fmt.Errorf("%s is the certificate of another key than %s", certificate, key)
	}
	return s, nil
}

// ReadCertificate reads one, in PEM form.
func ReadCertificate(file string) (*x509.Certificate, error) {
	block, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// CheckPrivate refuses the file of a private key that others may read.
func CheckPrivate(file string) error {
	info, err := os.Stat(file)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = &fs.PathError{Op: "read", Path: file, Err: errors.New("others may read this private key; chmod it to 0600")}
	}
	return err
}

func readKey(file string) (*rsa.PrivateKey, error) {
	if err := CheckPrivate(file); err != nil {
		return nil, err
	}
	block, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := any.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s is no RSA key in PEM form without a passphrase", file)
	}
	return key, nil
}

// maxPEM is more than any key or certificate is long.
const maxPEM = 64 << 10

func readPEM(file string) (*pem.Block, error) {
	if err := owned.Check(file); err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is not in PEM form", file)
	}
	return block, nil
}

// CanSign reports whether there is a private key.
func (s *Signer) CanSign() bool { return s.key != nil }

// Length is how much longer a program of that size is with a signature.
func (s *Signer) Length(size int64) (int64, error) {
	key := s.Certificate.PublicKey.(*rsa.PublicKey)
	data, err := signedData(s.Certificate, make([]byte, 32), func([]byte) ([]byte, error) { return make([]byte, key.Size()), nil })
	return up(size, aligned) - size + int64(len(entry(data))), err
}

// Sign adds a signature to a program. One that it has stays.
func (s *Signer) Sign(f *os.File) error {
	if s.key == nil {
		return errors.New("sign a boot image: there is no private key here")
	}
	p, digest, err := toSign(f)
	if err != nil {
		return err
	}
	data, err := signedData(s.Certificate, digest, func(hash []byte) ([]byte, error) {
		return rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, hash)
	})
	if err != nil {
		return fmt.Errorf("sign a boot image: %w", err)
	}
	return p.append(f, data)
}

// toSign opens a program, and has the hash that signatures of it sign.
func toSign(f *os.File) (p *signable, digest []byte, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if p, err = open(f, info.Size()); err != nil {
		return nil, nil, fmt.Errorf("sign a boot image: %w", err)
	}
	digest, err = p.digest()
	return p, digest, err
}

// append adds a SignedData to the program's table, in its file.
func (p *signable) append(f io.WriterAt, data []byte) error {
	table, added := up(p.end(), aligned), entry(data)
	if _, err := f.WriteAt(added, max(up(p.size, aligned), table)); err != nil {
		return err
	}
	place := binary.LittleEndian.AppendUint32(nil, uint32(table))
	place = binary.LittleEndian.AppendUint32(place, uint32(p.tableSize)+uint32(len(added)))
	_, err := f.WriteAt(place, p.optional+directoryAt)
	return err
}

// attach adds a signature that was made elsewhere, if it is by this certificate and of
// this program.
func (s *Signer) attach(f *os.File, data []byte) error {
	p, digest, err := toSign(f)
	if err != nil {
		return err
	}
	if _, err := verify(data, digest, []*x509.Certificate{s.Certificate}); err != nil {
		return fmt.Errorf("sign a boot image by what was made elsewhere: %w", err)
	}
	return p.append(f, data)
}

// What a table of certificates has before each (PE format, "The Attribute Certificate
// Table").
const (
	entryHeader = 8
	revision2   = 0x0200
	kindPKCS7   = 2
)

// entry is a SignedData as a program carries it.
func entry(data []byte) []byte {
	var b bytes.Buffer
	for _, v := range []any{uint32(entryHeader + len(data)), uint16(revision2), uint16(kindPKCS7)} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a buffer takes all
	}
	b.Write(data)
	return append(b.Bytes(), make([]byte, up(int64(b.Len()), aligned)-int64(b.Len()))...)
}

// Copy writes a signed copy of a program to an empty file.
func (s *Signer) Copy(to *os.File, program string) error {
	from, err := os.Open(program)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := io.Copy(to, io.LimitReader(from, maxSize)); err != nil {
		return err
	}
	if err := s.Sign(to); err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil
}
