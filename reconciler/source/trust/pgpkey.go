package trust

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// The library verifies signatures by what a key said of itself when they were
// made. gpg exports only what it says last, so that a key whose expiry was put
// off would no more vouch for what it had signed before. Here what a key says
// last counts for all times.

// whatever is the time of a check that looks at no time.
var whatever time.Time

// verifyPGP returns why an owner's key does not vouch for what was signed.
func verifyPGP(owner *openpgp.Entity, signed []byte, sig *packet.Signature) error {
	key, says, err := signingKey(owner, sig)
	if err != nil {
		return err
	}
	if err := strong(owner.PrimaryKey, key, sig); err != nil {
		return err
	}
	at := sig.CreationTime
	for _, s := range says {
		if s.key.KeyExpired(s.of, at) {
			return fmt.Errorf("the key was not valid at the signature's time, %s", at.UTC().Format(time.RFC3339))
		}
	}
	if last := says[len(says)-1].of; !last.FlagsValid || !last.FlagSign {
		return errors.New("the key is not for signing")
	}
	if sig.SigLifetimeSecs != nil && sig.SigExpired(later(time.Now(), at)) {
		return errors.New("it has expired")
	}
	if slices.ContainsFunc(sig.Notations, func(n *packet.Notation) bool { return n.IsCritical }) {
		return errors.New("it says something critical that is not known here")
	}
	h, err := sig.PrepareVerify()
	if err != nil {
		return err
	}
	h.Write(signed)
	if err := key.VerifySignature(h, sig); err != nil {
		return fmt.Errorf("it does not fit the content (%w)", err)
	}
	return nil
}

// later keeps a clock that is not set yet from making signatures ones of the
// future.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// A saying is what an owner says of one of the owner's keys.
type saying struct {
	key *packet.PublicKey
	of  *packet.Signature
}

// signingKey finds the key that signed, and what its owner says of it: of the
// primary key first, and then of the subkey, if it is one.
func signingKey(owner *openpgp.Entity, sig *packet.Signature) (*packet.PublicKey, []saying, error) {
	primary := owner.PrimaryKey
	self, err := owner.PrimarySelfSignature(whatever, nil)
	if err != nil {
		return nil, nil, errors.New("nothing that its owner signed says what the key is for")
	}
	if revoked(owner.Revocations, primary.VerifyRevocationSignature) {
		return nil, nil, errors.New("the key was revoked")
	}
	says := []saying{{primary, self}}
	if direct, err := owner.LatestValidDirectSignature(whatever, nil); err == nil {
		says = append([]saying{{primary, direct}}, says...)
	}
	if primary.KeyId == *sig.IssuerKeyId {
		return primary, says, nil
	}
	for i := range owner.Subkeys {
		sub := &owner.Subkeys[i]
		if sub.PublicKey.KeyId != *sig.IssuerKeyId {
			continue
		}
		of := func(s *packet.Signature) error { return primary.VerifySubkeyRevocationSignature(s, sub.PublicKey) }
		if revoked(sub.Revocations, of) {
			return nil, nil, errors.New("the subkey was revoked")
		}
		// that the subkey wants to be its owner's, too, is verified here
		binding, err := sub.LatestValidBindingSignature(whatever, nil)
		if err != nil {
			return nil, nil, errors.New("nothing that its owner signed says that the subkey is the owner's")
		}
		return sub.PublicKey, append(says, saying{sub.PublicKey, binding}), nil
	}
	return nil, nil, errors.New("the key is not there")
}

// revoked reports whether a key was revoked, for whatever reason and at whatever
// time: who has a stolen key chooses the time of what it signs.
func revoked(by []*packet.VerifiableSignature, verify func(*packet.Signature) error) bool {
	return slices.ContainsFunc(by, func(s *packet.VerifiableSignature) bool { return verify(s.Packet) == nil })
}

// strong refuses what is known to be weak, by the library's own lists.
func strong(primary, key *packet.PublicKey, sig *packet.Signature) error {
	var weak *packet.Config
	if weak.RejectMessageHashAlgorithm(sig.Hash) {
		return fmt.Errorf("it is over %v, which is insecure", sig.Hash)
	}
	for _, k := range []*packet.PublicKey{primary, key} {
		if weak.RejectPublicKeyAlgorithm(k.PubKeyAlgo) {
			return errors.New("the key is of an insecure kind")
		}
		if bits, err := k.BitLength(); isRSA(k) && (err != nil || bits < weak.MinimumRSABits()) {
			return fmt.Errorf("the key has %d bits, which are too few", bits)
		}
		if curve, err := k.Curve(); err == nil && weak.RejectCurve(curve) {
			return fmt.Errorf("the key is of the curve %s, which is not accepted", curve)
		}
	}
	return nil
}

func isRSA(k *packet.PublicKey) bool {
	return k.PubKeyAlgo == packet.PubKeyAlgoRSA || k.PubKeyAlgo == packet.PubKeyAlgoRSASignOnly
}
