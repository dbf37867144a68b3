package check

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
)

// WrongKey returns what keeps a line from being one of authorized_keys(5) with
// a key that sshd takes, or "". Keys are encoded as RFC 4253, section 6.6, RFC
// 5656, section 3.1, and OpenSSH's PROTOCOL.u2f have them.
func WrongKey(line string) string {
	line = strings.TrimSpace(line)
	switch {
	case strings.Contains(line, "PRIVATE KEY"):
		return "is a private key, which belongs in no repo: make a new one"
	case NotLine(strings.ReplaceAll(line, "\t", " ")) != "":
		return "is more than one line"
	}
	words := strings.Fields(line)
	if len(words) > 0 && !isKeyType(words[0]) {
		words = strings.Fields(afterOptions(line))
	}
	if len(words) < 2 || !isKeyType(words[0]) {
		return "is not a public key"
	}
	return wrongKeyData(words[0], words[1])
}

// WrongLoginKey returns what keeps a line from being a key by which somebody may
// log in where nothing but keys counts, or "": it has no options, and is of a type
// that each ssh server knows.
func WrongLoginKey(line string) string {
	wrong, words := WrongKey(line), strings.Fields(line)
	switch {
	case wrong != "":
		return wrong
	case !isKeyType(words[0]):
		return "has options, which are not heeded here"
	case !(&keyData{}).read(words[0]):
		return "is of a type that is not known here"
	}
	return ""
}

// isKeyType tells a type from options and from other words.
func isKeyType(word string) bool {
	word = strings.TrimPrefix(word, "sk-")
	return strings.HasPrefix(word, "ssh-") || strings.HasPrefix(word, "ecdsa-sha2-")
}

// afterOptions returns what follows the first white space outside quotes.
func afterOptions(line string) string {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\' && i+1 < len(line) && line[i+1] == '"':
			i++
		case c == '"':
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			return line[i:]
		}
	}
	return ""
}

func wrongKeyData(typ, data string) string {
	blob, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return "is not a public key: its data is no base64"
	}
	r := &keyData{left: blob}
	switch inside := string(r.next()); {
	case r.bad:
		return "is not a public key: its data is cut short"
	case inside != typ && isKeyType(inside):
		return fmt.Sprintf("is not a public key: its data is of type %.60q", inside)
	case inside != typ:
		return "is not a public key: its data is of another type"
	}
	if known := r.read(typ); known && (r.bad || len(r.left) > 0) {
		return "is not a public key: its data is damaged"
	}
	return ""
}

// keyData is read as strings with their lengths before them.
type keyData struct {
	left []byte
	bad  bool
}

func (r *keyData) next() []byte {
	if len(r.left) < 4 {
		r.bad = true
		return nil
	}
	n := binary.BigEndian.Uint32(r.left)
	if uint64(n) > uint64(len(r.left)-4) {
		r.bad = true
		return nil
	}
	s := r.left[4 : 4+n]
	r.left = r.left[4+n:]
	return s
}

// read takes what a key of this type holds; false if the type is not known
// here, as a certificate's is not.
func (r *keyData) read(typ string) bool {
	plain := strings.TrimSuffix(strings.TrimPrefix(typ, "sk-"), "@openssh.com")
	switch plain {
	case "ssh-ed25519":
		r.bad = len(r.next()) != 32 || r.bad
	case "ssh-rsa":
		r.rsa()
	case "ecdsa-sha2-nistp256":
		r.point("nistp256", ecdh.P256())
	case "ecdsa-sha2-nistp384":
		r.point("nistp384", ecdh.P384())
	case "ecdsa-sha2-nistp521":
		r.point("nistp521", ecdh.P521())
	default:
		return false
	}
	if plain != typ {
		r.next() // the application that a security key answers to
	}
	return true
}

func (r *keyData) rsa() {
	e, n := r.next(), r.next()
	exponent := new(big.Int).SetBytes(e)
	r.bad = r.bad || len(e) == 0 || len(n) == 0 || e[0] >= 0x80 || n[0] >= 0x80 ||
		exponent.BitLen() > 31 || exponent.BitLen() < 2 || exponent.Bit(0) == 0
}

func (r *keyData) point(name string, curve ecdh.Curve) {
	named := string(r.next())
	_, err := curve.NewPublicKey(r.next())
	r.bad = r.bad || named != name || err != nil
}
