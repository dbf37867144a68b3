package page

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"
)

const (
	// keyLives is how long a key may be used, once; sessionLives how long a session
	// lasts that nobody uses.
	keyLives     = 2 * time.Minute
	sessionLives = 12 * time.Hour
	// sessionsKept bounds both; the oldest end first.
	sessionsKept = 32
	cookie       = "gitboot"
)

// A session is somebody who may act.
type session struct {
	path, cookie, by string
	until            time.Time
	said             *said
}

// said is what became of the last action.
type said struct{ Text, Tone string }

// sessions are kept for as long as the agent runs.
type sessions struct {
	now func() time.Time

	mu   sync.Mutex
	keys []session // whose path is the key
	all  []*session
}

// Key makes a key for somebody, which opens the page once.
func (p *Page) Key(by string) string {
	s := &p.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	key := session{path: rand.Text(), by: by, until: s.now().Add(keyLives)}
	s.keys = append(s.keys, key)
	s.keys = s.keys[max(0, len(s.keys)-sessionsKept):]
	return key.path
}

// redeem makes a session of a key, nil if it is none.
func (s *sessions) redeem(key string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, k := range s.keys {
		if same(k.path, key) {
			s.keys = append(s.keys[:i:i], s.keys[i+1:]...)
			if s.now().After(k.until) {
				return nil
			}
			out := &session{path: rand.Text(), cookie: rand.Text(), by: k.by, until: s.now().Add(sessionLives)}
			s.all = append(s.all, out)
			s.all = s.all[max(0, len(s.all)-sessionsKept):]
			return out
		}
	}
	return nil
}

// find returns the session of a path and a cookie, nil if there is none.
func (s *sessions) find(path, cookie string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		if same(one.path, path) && same(one.cookie, cookie) && s.now().Before(one.until) {
			one.until = s.now().Add(sessionLives)
			return one
		}
	}
	return nil
}

// say notes what the next page tells.
func (s *sessions) say(one *session, what said) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.said = &what
}

// told is what was noted, once.
func (s *sessions) told(one *session) *said {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := one.said
	one.said = nil
	return out
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// open makes a session of a key.
func (p *Page) open(w http.ResponseWriter, r *http.Request) {
	s := p.sessions.redeem(r.URL.Query().Get("key"))
	if s == nil {
		http.Error(w, "this key was used already, or is too old; `gitboot page` gives another", http.StatusForbidden)
		return
	}
	path := "/s/" + s.path + "/"
	http.SetCookie(w, &http.Cookie{Name: cookie + "-" + s.path[:8], Value: s.cookie, Path: path, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(sessionLives.Seconds())})
	// A page and not a redirection: of a link followed from elsewhere, a redirection
	// is still that link, with which no strict cookie is sent.
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Refresh", "0; url="+path)
	_, _ = w.Write([]byte("<!DOCTYPE html><html lang=\"en\"><title>gitboot</title><p><a href=\"" + path + "\">The page</a>\n"))
}

// within is for who has a session.
func (p *Page) within(next func(http.ResponseWriter, *http.Request, *session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path := r.PathValue("token")
		if len(path) >= 8 {
			if c, err := r.Cookie(cookie + "-" + path[:8]); err == nil {
				if s := p.sessions.find(path, c.Value); s != nil {
					next(w, r, s)
					return
				}
			}
		}
		http.Error(w, "this session has ended, as each does when the agent begins anew; `gitboot page` opens another", http.StatusForbidden)
	}
}
