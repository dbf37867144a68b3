// Package tpm has a TPM 2.0 give out a passphrase that systemd-cryptenroll(1) has sealed
// in it. It speaks the few commands that this takes (TCG's "TPM 2.0 Library", part 3)
// over what the kernel has as /dev/tpmrm0: for the program that is loaded at every boot,
// a library of all commands would be larger than all the rest.
//
// What the TPM answers is on the bus between it and the processor, not encrypted:
// who can listen there learns the passphrase, unless there is a PIN to be typed, too.
package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Device is the TPM, by the kernel's own manager of what is loaded into it: it lets go
// of all that when it is closed.
const Device = "/dev/tpmrm0"

// Of the specification's part 2, 6: commands, handles, algorithms.
const (
	createPrimary    = 0x131
	load             = 0x157
	unseal           = 0x15e
	flushContext     = 0x165
	startAuthSession = 0x176
	policyPCR        = 0x17f
	policyPassword   = 0x18c

	noSessions, sessions   = 0x8001, 0x8002
	owner, none, byNothing = 0x40000001, 0x40000007, 0x40000009

	rsa, sha1, aes128, sha256, null, ecc, cfb = 0x01, 0x04, 0x06, 0x0b, 0x10, 0x23, 0x43
	p256                                      = 0x03
)

var (
	// ErrChanged says that the TPM does not give it out as the machine was started.
	ErrChanged = errors.New("the machine was started with other programs or settings than when the passphrase was sealed (its PCRs differ); seal it anew with systemd-cryptenroll --wipe-slot=tpm2 --tpm2-device=auto")
	// ErrPIN says that the PIN is not the one.
	ErrPIN = errors.New("the PIN is wrong")

	be = binary.BigEndian
)

// Unseal has the TPM give out what is sealed; auth is "" unless it takes a PIN.
func (s *Sealed) Unseal(dev io.ReadWriter, auth []byte) (secret []byte, err error) {
	parent := s.parent
	if parent == 0 {
		if parent, err = s.primary(dev); err != nil {
			return nil, fmt.Errorf("making the TPM's key: %w", err)
		}
		defer func() { err = errors.Join(err, flush(dev, parent)) }()
	}
	out, err := ask(dev, load, []uint32{parent}, password(nil), s.blob)
	if err != nil {
		return nil, fmt.Errorf("loading what is sealed into the TPM: %w", err)
	}
	object := out.handle()
	defer func() { err = errors.Join(err, flush(dev, object)) }()
	session, err := s.policy(dev)
	if err != nil {
		return nil, fmt.Errorf("telling the TPM how the machine was started: %w", err)
	}
	out, err = ask(dev, unseal, []uint32{object}, authorized(session, auth), nil)
	if err != nil {
		_ = flush(dev, session) // after success it is gone already
		return nil, fmt.Errorf("unsealing by the TPM: %w", err)
	}
	out.skip(4) // how long the parameters are
	secret = out.sized()
	return secret, out.err
}

// primary makes the key below which it is sealed, which the TPM makes alike each time.
func (s *Sealed) primary(dev io.ReadWriter) (uint32, error) {
	var p []byte
	p = append(p, 0, 4, 0, 0, 0, 0) // no password, nothing to seal
	public := be.AppendUint16(nil, uint16(s.algorithm))
	public = be.AppendUint16(public, sha256)
	public = be.AppendUint32(public, 0x00030072) // fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, restricted, decrypt
	public = append(public, 0, 0)                // no policy
	for _, v := range []uint16{aes128, 128, cfb, null} {
		public = be.AppendUint16(public, v)
	}
	if s.algorithm == ecc {
		for _, v := range []uint16{p256, null, 0, 0} { // curve, no KDF, no point
			public = be.AppendUint16(public, v)
		}
	} else {
		public = be.AppendUint16(public, 2048)
		public = append(public, 0, 0, 0, 0, 0, 0) // the usual exponent, no modulus
	}
	p = appendSized(p, public)
	p = append(p, 0, 0, 0, 0, 0, 0) // nothing from outside, no PCRs
	out, err := ask(dev, createPrimary, []uint32{owner}, password(nil), p)
	if err != nil {
		return 0, err
	}
	return out.handle(), out.err
}

// policy begins a session that fulfils what it was sealed under.
func (s *Sealed) policy(dev io.ReadWriter) (uint32, error) {
	var p []byte
	p = appendSized(p, make([]byte, 16)) // nothing is signed by this number
	p = append(p, 0, 0, 1)               // no salt; a policy
	p = be.AppendUint16(p, null)
	p = be.AppendUint16(p, sha256)
	out, err := ask(dev, startAuthSession, []uint32{none, none}, nil, p)
	if err != nil {
		return 0, err
	}
	session := out.handle()
	if len(s.pcrs) > 0 {
		p = append([]byte{0, 0}, 0, 0, 0, 1) // as they are now; one bank
		p = be.AppendUint16(p, uint16(s.bank))
		var chosen [3]byte
		for _, n := range s.pcrs {
			chosen[n/8] |= 1 << (n % 8)
		}
		p = append(append(p, byte(len(chosen))), chosen[:]...)
		_, err = ask(dev, policyPCR, []uint32{session}, nil, p)
	}
	if err == nil && s.PIN {
		_, err = ask(dev, policyPassword, []uint32{session}, nil, nil)
	}
	if err != nil {
		return 0, errors.Join(err, flush(dev, session))
	}
	return session, out.err
}

func flush(dev io.ReadWriter, handle uint32) error {
	_, err := ask(dev, flushContext, nil, nil, be.AppendUint32(nil, handle))
	return err
}

// password authorizes by a password.
func password(auth []byte) []byte { return authorized(byNothing, auth) }

// authorized authorizes by a session and a password.
func authorized(session uint32, auth []byte) []byte {
	b := be.AppendUint32(nil, session)
	b = append(b, 0, 0, 0) // no number, nothing that goes on
	b = appendSized(b, auth)
	return append(be.AppendUint32(nil, uint32(len(b))), b...)
}

func appendSized(b, data []byte) []byte {
	return append(be.AppendUint16(b, uint16(len(data))), data...)
}

const (
	// maxAnswer is more than any is long.
	maxAnswer = 4096
	// retry asks for the command once more.
	retry, maxRetries = 0x922, 10
)

// ask gives a command and reads the answer.
func ask(dev io.ReadWriter, command uint32, handles []uint32, auth, parameters []byte) (*answer, error) {
	tag := uint16(noSessions)
	if auth != nil {
		tag = sessions
	}
	b := be.AppendUint16(nil, tag)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, command)
	for _, h := range handles {
		b = be.AppendUint32(b, h)
	}
	b = append(append(b, auth...), parameters...)
	be.PutUint32(b[2:], uint32(len(b)))
	defer clear(b)
	out := make([]byte, maxAnswer)
	for range maxRetries {
		if _, err := dev.Write(b); err != nil {
			return nil, err
		}
		n, err := dev.Read(out)
		if err != nil {
			return nil, err
		}
		if n < 10 {
			return nil, fmt.Errorf("the TPM's answer has %d bytes", n)
		}
		switch code := be.Uint32(out[6:]); code {
		case 0:
			return &answer{left: out[10:n]}, nil
		case retry:
		default:
			return nil, meaning(code)
		}
	}
	return nil, errors.New("the TPM is busy with other things")
}

// meaning is what an answer's code says (part 2, 6.6), without what it is about.
func meaning(code uint32) error {
	const (
		lockout    = 0x921
		formatOne  = 0x080
		authFail   = 0x08e
		policyFail = 0x09d
		integrity  = 0x09f
	)
	if code&formatOne != 0 {
		switch code & 0x0bf {
		case policyFail:
			return ErrChanged
		case authFail:
			return ErrPIN
		case integrity:
			return errors.New("this is not the TPM that it was sealed by, or it was reset since")
		}
	}
	if code == lockout {
		return errors.New("the TPM takes no PIN for now, after too many wrong ones")
	}
	return fmt.Errorf("the TPM answers with error %#x", code)
}

// An answer is read from its beginning.
type answer struct {
	left []byte
	err  error
}

func (a *answer) skip(n int) []byte {
	if n > len(a.left) {
		a.err, a.left = errors.New("the TPM's answer is too short"), nil
		return make([]byte, n)
	}
	out := a.left[:n]
	a.left = a.left[n:]
	return out
}

func (a *answer) handle() uint32 { return be.Uint32(a.skip(4)) }
func (a *answer) sized() []byte  { return a.skip(int(be.Uint16(a.skip(2)))) }
