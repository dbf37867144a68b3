package uki

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers of PKCS #7 (RFC 2315), of RFC 8017, and of Authenticode.
var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidIndirect      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
	oidImageData     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
)

const (
	// context0 is the tag [0] of what is in it.
	context0 = der.Tag(0xa0)
	// imageData is a SpcPeImageData that says nothing, as all signers write it: no flags,
	// and the link "<<<Obsolete>>>".
	imageData = "\x30\x25\x03\x01\x00\xa0\x20\xa2\x1e\x80\x1c\x00<\x00<\x00<\x00O\x00b\x00s\x00o\x00l\x00e\x00t\x00e\x00>\x00>\x00>"
)

type builder = cryptobyte.Builder

// algorithm adds an AlgorithmIdentifier without parameters.
func algorithm(b *builder, oid asn1.ObjectIdentifier) {
	b.AddASN1(der.SEQUENCE, func(b *builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1NULL()
	})
}

// content is what is signed of a program, without the tag and length of the whole,
// which are not signed: a SpcIndirectDataContent.
func content(digest []byte) ([]byte, error) {
	var b builder
	b.AddASN1(der.SEQUENCE, func(b *builder) {
		b.AddASN1ObjectIdentifier(oidImageData)
		b.AddBytes([]byte(imageData))
	})
	b.AddASN1(der.SEQUENCE, func(b *builder) {
		algorithm(b, oidSHA256)
		b.AddASN1OctetString(digest)
	})
	return b.Bytes()
}

// attributes are those of a signature, without a time, so that equal programs have
// equal signatures.
func attributes(content []byte) ([]byte, error) {
	sum := sha256.Sum256(content)
	var b builder
	for _, a := range []struct {
		kind  asn1.ObjectIdentifier
		value func(*builder)
	}{
		{oidContentType, func(b *builder) { b.AddASN1ObjectIdentifier(oidIndirect) }},
		{oidMessageDigest, func(b *builder) { b.AddASN1OctetString(sum[:]) }},
	} {
		b.AddASN1(der.SEQUENCE, func(b *builder) {
			b.AddASN1ObjectIdentifier(a.kind)
			b.AddASN1(der.SET, a.value)
		})
	}
	return b.Bytes()
}

// retagged is what a signature is made of: attributes as a SET.
func retagged(attributes []byte) ([]byte, error) {
	var b builder
	b.AddASN1(der.SET, func(b *builder) { b.AddBytes(attributes) })
	return b.Bytes()
}

// signedData returns the SignedData of a program with this digest. sign signs a hash.
func signedData(cert *x509.Certificate, digest []byte, sign func(hash []byte) ([]byte, error)) ([]byte, error) {
	inner, err := content(digest)
	if err != nil {
		return nil, err
	}
	attrs, err := attributes(inner)
	if err != nil {
		return nil, err
	}
	set, err := retagged(attrs)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(set)
	signature, err := sign(hash[:])
	if err != nil {
		return nil, err
	}
	var b builder
	b.AddASN1(der.SEQUENCE, func(b *builder) {
		b.AddASN1ObjectIdentifier(oidSignedData)
		b.AddASN1(context0, func(b *builder) {
			b.AddASN1(der.SEQUENCE, func(b *builder) {
				b.AddASN1Int64(1)
				b.AddASN1(der.SET, func(b *builder) { algorithm(b, oidSHA256) })
				b.AddASN1(der.SEQUENCE, func(b *builder) {
					b.AddASN1ObjectIdentifier(oidIndirect)
					b.AddASN1(context0, func(b *builder) {
						b.AddASN1(der.SEQUENCE, func(b *builder) { b.AddBytes(inner) })
					})
				})
				b.AddASN1(context0, func(b *builder) { b.AddBytes(cert.Raw) })
				b.AddASN1(der.SET, func(b *builder) { signerInfo(b, cert, attrs, signature) })
			})
		})
	})
	return b.Bytes()
}

func signerInfo(b *builder, cert *x509.Certificate, attrs, signature []byte) {
	b.AddASN1(der.SEQUENCE, func(b *builder) {
		b.AddASN1Int64(1)
		b.AddASN1(der.SEQUENCE, func(b *builder) {
			b.AddBytes(cert.RawIssuer)
			b.AddASN1BigInt(cert.SerialNumber)
		})
		algorithm(b, oidSHA256)
		b.AddASN1(context0, func(b *builder) { b.AddBytes(attrs) })
		algorithm(b, oidRSA)
		b.AddASN1OctetString(signature)
	})
}

// A signature is one of a program's, as it was found.
type signature struct {
	// digest is the program's, as it was when it was signed.
	digest []byte
	// by is the certificate of who has signed, others are those that came with it.
	by     *x509.Certificate
	others []*x509.Certificate
}

var errSignature = errors.New("its signature has an unknown form")

// parse reads a SignedData, and verifies that who is in it has signed what is in it.
func parse(data []byte) (s signature, err error) {
	var top, signed, inner, certs, infos, explicit cryptobyte.String
	var kind asn1.ObjectIdentifier
	in := cryptobyte.String(data)
	if !in.ReadASN1(&top, der.SEQUENCE) || !top.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidSignedData) ||
		!top.ReadASN1(&explicit, context0) || !explicit.ReadASN1(&signed, der.SEQUENCE) ||
		!signed.SkipASN1(der.INTEGER) || !signed.SkipASN1(der.SET) || !signed.ReadASN1(&explicit, der.SEQUENCE) ||
		!explicit.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidIndirect) ||
		!explicit.ReadASN1(&explicit, context0) || !explicit.ReadASN1(&inner, der.SEQUENCE) ||
		!signed.ReadASN1(&certs, context0) || !signed.ReadASN1(&infos, der.SET) {
		return s, errSignature
	}
	if s.digest, err = indirect(inner); err != nil {
		return s, err
	}
	if s.others, err = x509.ParseCertificates(certs); err != nil {
		return s, fmt.Errorf("%w: %w", errSignature, err)
	}
	return s, s.signedBy(infos, inner)
}

// indirect reads the digest in a SpcIndirectDataContent.
func indirect(in cryptobyte.String) (digest []byte, err error) {
	var info, how cryptobyte.String
	var kind asn1.ObjectIdentifier
	if !in.SkipASN1(der.SEQUENCE) || !in.ReadASN1(&info, der.SEQUENCE) || !info.ReadASN1(&how, der.SEQUENCE) ||
		!how.ReadASN1ObjectIdentifier(&kind) || !info.ReadASN1Bytes(&digest, der.OCTET_STRING) {
		return nil, errSignature
	}
	if !kind.Equal(oidSHA256) {
		return nil, errors.New("its signature is not of its SHA-256")
	}
	return digest, nil
}

// signedBy finds who has signed this content, and verifies that.
func (s *signature) signedBy(infos cryptobyte.String, inner []byte) error {
	var info, name, issuer, attrs cryptobyte.String
	var signed []byte
	serial := new(big.Int)
	if !infos.ReadASN1(&info, der.SEQUENCE) || !info.SkipASN1(der.INTEGER) || !info.ReadASN1(&name, der.SEQUENCE) ||
		!name.ReadASN1Element(&issuer, der.SEQUENCE) || !name.ReadASN1Integer(serial) || !info.SkipASN1(der.SEQUENCE) ||
		!info.ReadASN1(&attrs, context0) || !info.SkipASN1(der.SEQUENCE) || !info.ReadASN1Bytes(&signed, der.OCTET_STRING) {
		return errSignature
	}
	for _, c := range s.others {
		if bytes.Equal(c.RawIssuer, issuer) && c.SerialNumber.Cmp(serial) == 0 {
			s.by = c
		}
	}
	if s.by == nil {
		return errors.New("the certificate of who has signed it is not with it")
	}
	sum := sha256.Sum256(inner)
	if !bytes.Equal(messageDigest(attrs), sum[:]) {
		return errors.New("its signature is of something else")
	}
	set, err := retagged(attrs)
	if err != nil {
		return err
	}
	key, ok := s.by.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("its signature is none of RSA's")
	}
	hash := sha256.Sum256(set)
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signed)
}

// messageDigest is that attribute, nil without one.
func messageDigest(attrs cryptobyte.String) (digest []byte) {
	for !attrs.Empty() {
		var one, set cryptobyte.String
		var kind asn1.ObjectIdentifier
		if !attrs.ReadASN1(&one, der.SEQUENCE) || !one.ReadASN1ObjectIdentifier(&kind) || !one.ReadASN1(&set, der.SET) {
			return nil
		}
		if kind.Equal(oidMessageDigest) && set.ReadASN1Bytes(&digest, der.OCTET_STRING) {
			return digest
		}
	}
	return nil
}
