package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A proof is what a sender shows to be let in: signatures of the body, of which
// one must hold, or a token.
type proof struct {
	sums [][]byte
	// prefix is signed with the body, before it.
	prefix string
	// encoded says that the secret is the key in base64, after whsec_.
	encoded bool
	token   string
}

func (p proof) signs() bool { return len(p.sums) > 0 }

// signatures are the headers in which forges put the hex of HMAC-SHA256 of the
// body: GitHub, Bitbucket (before the equals sign the hash, which GitHub's older
// SHA-1 has there, too), Forgejo, Gitea, Gogs. Gitea sends empty ones if it was
// given no secret.
var signatures = []struct{ header, before string }{
	{"X-Hub-Signature-256", "sha256="},
	{"X-Hub-Signature", "sha256="},
	{"X-Forgejo-Signature", ""},
	{"X-Gitea-Signature", ""},
	{"X-Gogs-Signature", ""},
}

// proofOf finds a request's proof. A signature goes before a token, which
// whoever reads it on the way can use.
func proofOf(r *http.Request, now time.Time) (proof, bool) {
	for _, s := range signatures {
		value, ok := strings.CutPrefix(r.Header.Get(s.header), s.before)
		if sum, err := hex.DecodeString(value); ok && err == nil && len(sum) == sha256.Size {
			return proof{sums: [][]byte{sum}}, true
		}
	}
	if p, ok := standardProof(r.Header, now); ok {
		return p, true
	}
	for _, token := range []string{r.Header.Get("X-Gitlab-Token"), authorization(r), r.URL.Query().Get("token")} {
		if token != "" {
			return proof{token: token}, true
		}
	}
	return proof{}, false
}

const (
	// stale is how old a signed time may be, or how far ahead.
	stale = 5 * time.Minute
	// maxSums is how many signatures one hook may have.
	maxSums = 4
)

// standardProof is that of https://www.standardwebhooks.com, which GitLab's
// signing tokens follow: over an id and a time as well, so that it ends being
// one.
func standardProof(h http.Header, now time.Time) (p proof, ok bool) {
	id, at := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > stale {
		return p, false
	}
	p = proof{prefix: id + "." + at + ".", encoded: true}
	for _, word := range strings.Fields(h.Get("webhook-signature")) {
		value, ok := strings.CutPrefix(word, "v1,")
		if sum, err := base64.StdEncoding.DecodeString(value); ok && err == nil && len(p.sums) < maxSums {
			p.sums = append(p.sums, sum)
		}
	}
	return p, p.signs()
}

// authorization is the token of the header of that name: after "Bearer", as a
// password, or, as Harbor sends what it was given, by itself.
func authorization(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	value := r.Header.Get("Authorization")
	if scheme, token, ok := strings.Cut(value, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return value
}

// isToken compares the token in a time that does not depend on how much of it is
// right.
func (p proof) isToken(keys []string) bool {
	shown, same := sha256.Sum256([]byte(p.token)), 0
	for _, key := range keys {
		is := sha256.Sum256([]byte(key))
		same |= subtle.ConstantTimeCompare(shown[:], is[:])
	}
	return same == 1
}

// signed reads a body, and says whether the signature is of it and of one of the
// secrets.
func (p proof) signed(body io.Reader, keys []string) (ok bool, read int64, err error) {
	var macs []hash.Hash
	var all []io.Writer
	for _, key := range keys {
		mac := hmac.New(sha256.New, p.key(key))
		_, _ = io.WriteString(mac, p.prefix) // a hash takes everything
		macs, all = append(macs, mac), append(all, mac)
	}
	read, err = io.Copy(io.MultiWriter(all...), io.LimitReader(body, maxBody+1))
	for _, mac := range macs {
		for _, sum := range p.sums {
			ok = hmac.Equal(mac.Sum(nil), sum) || ok
		}
	}
	return ok && err == nil && read <= maxBody, read, err
}

func (p proof) key(secret string) []byte {
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok && p.encoded {
		if key, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			return key
		}
	}
	return []byte(secret)
}
