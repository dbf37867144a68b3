// Package webhook lets forges and registries say that there is something new, so
// that the agent looks at once and not at the next poll.
//
// A hook only asks for a look. What its body says is not believed: it is hashed
// to compare its signature, and of registries read to see whether it tells of
// anything but reading. Who knows no secret is refused, and costs next to
// nothing: bodies are streamed, bounded, and of those who fail only so much is
// read in a second.
//
//	POST /hook/repo    a push to the config repo: look at it
//	POST /hook/image   a push of an image: look at it, and at the images' digests
package webhook

import (
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Trigger is what runs that a hook asked for are recorded with.
const Trigger = "webhook"

// maxBody is how much a hook may say. GitHub says up to 25 MB in the largest of
// pushes, of thousands of commits; those are found at the next poll.
const maxBody = 1 << 20

// Options say what a hook is let in by, and what it does.
type Options struct {
	// SecretFile holds the secrets, one a line; more than one while they change.
	SecretFile string
	// Ask asks for a look, with update also for new digests of images. It must
	// not block.
	Ask func(why string, update bool)
	Log *slog.Logger
}

// A Handler answers hooks.
type Handler struct {
	secrets  *secrets
	asker    *asker
	refusals *refusals
	budget   *budget
}

// New makes a handler. That there is a secret is checked now, so that a hook
// which nobody could use is no surprise later.
func New(o Options) (*Handler, error) {
	s := &secrets{path: o.SecretFile}
	if _, err := s.read(); err != nil {
		return nil, err
	}
	return &Handler{secrets: s, asker: &asker{ask: o.Ask}, refusals: &refusals{log: o.Log}, budget: &budget{}}, nil
}

// A refusal is what a sender is told, and the log.
type refusal struct {
	code int
	why  string
}

var (
	noHook    = refusal{http.StatusNotFound, "there is no hook here; they are /hook/repo and /hook/image"}
	noPost    = refusal{http.StatusMethodNotAllowed, "a hook is a POST"}
	tooLarge  = refusal{http.StatusRequestEntityTooLarge, "the body is larger than a megabyte"}
	noProof   = refusal{http.StatusUnauthorized, "there is neither a signature (SHA-256) nor a token"}
	wrong     = refusal{http.StatusForbidden, "the signature or token is not of this secret"}
	tooMany   = refusal{http.StatusTooManyRequests, "too many hooks were refused; try again in a second"}
	noSecret  = refusal{http.StatusServiceUnavailable, "the secret cannot be read on this machine"}
	cutShort  = refusal{http.StatusBadRequest, "the body did not arrive"}
	notLooked = "nothing to look for\n"
	looked    = "a look was asked for\n"
)

// ServeHTTP lets in whoever shows a proof, and says no more than that.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	image := r.URL.Path == "/hook/image"
	p, refused := h.admit(r, image || r.URL.Path == "/hook/repo")
	if refused != nil {
		h.refuse(w, r, *refused)
		return
	}
	if image && !p.signs() && onlyReads(io.LimitReader(r.Body, maxBody)) {
		answer(w, http.StatusOK, notLooked)
		return
	}
	h.asker.look(image)
	answer(w, http.StatusAccepted, looked)
}

// admit says why a request is refused, nil if it is not.
func (h *Handler) admit(r *http.Request, known bool) (p proof, refused *refusal) {
	switch {
	case !known:
		return p, &noHook
	case r.Method != http.MethodPost:
		return p, &noPost
	case r.ContentLength > maxBody:
		return p, &tooLarge
	}
	p, ok := proofOf(r, time.Now())
	if !ok {
		return p, &noProof
	}
	keys, err := h.secrets.read()
	if err != nil {
		return p, &noSecret
	}
	if !p.signs() {
		if !p.isToken(keys) {
			return p, &wrong
		}
		return p, nil
	}
	return p, h.verify(p, r, keys)
}

// verify reads a signed body, for as long as those that were refused leave it
// something to read.
func (h *Handler) verify(p proof, r *http.Request, keys []string) *refusal {
	size := r.ContentLength
	if size < 0 {
		size = maxBody
	}
	if !h.budget.take(size, time.Now()) {
		return &tooMany
	}
	ok, n, err := p.signed(r.Body, keys)
	switch {
	case n > maxBody:
		return &tooLarge
	case err != nil:
		return &cutShort
	case !ok:
		return &wrong
	}
	h.budget.give(size)
	return nil
}

// refuse answers a request and ends its connection: new ones are bounded in
// number, what comes over one that is there is not.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, why refusal) {
	h.refusals.note(why, r.RemoteAddr)
	w.Header().Set("Connection", "close")
	switch why {
	case noPost:
		w.Header().Set("Allow", http.MethodPost)
	case tooMany:
		w.Header().Set("Retry-After", "1")
	}
	answer(w, why.code, why.why+"\n")
}

// answer sends a line. A sender that is gone needs none.
func answer(w http.ResponseWriter, code int, text string) {
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text)
}
