package image

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A thief is a server that writes down what it is sent. Its name is not the
// registries' of tests, which is 127.0.0.1.
type thief struct {
	address string
	mu      sync.Mutex
	loot    []string
}

func newThief(t *testing.T) *thief {
	t.Helper()
	s := &thief{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		check(t, r.ParseForm())
		s.loot = append(s.loot, strings.TrimSpace(r.Header.Get("Authorization")+" "+r.PostForm.Get("refresh_token")))
		fmt.Fprintf(w, `{"token": %q}`, token)
	}))
	t.Cleanup(server.Close)
	s.address = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return s
}

// sendsTo has a registry ask to log in at realm; a login at its own host is sent
// on to the thief.
func sendsTo(w *wire, realm, thief string) {
	w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case r.URL.Path == "/token":
			http.Redirect(rw, r, thief, http.StatusTemporaryRedirect) // keeps method and body
		case r.Header.Get("Authorization") == "Bearer "+token:
			next.ServeHTTP(rw, r)
		default:
			rw.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="test"`, realm))
			rw.WriteHeader(http.StatusUnauthorized)
		}
	})
}

func TestCredentialsStayWithTheirRegistry(t *testing.T) {
	home := noCredentials(t)
	w, ref, digest, _ := pushed(t)
	robber := newThief(t)
	entries := map[string]string{
		"password":      authJSON(w.host, password),
		"refresh token": fmt.Sprintf(`{"auths": {%q: {"identitytoken": %q}}}`, w.host, password),
	}
	for what, entry := range entries {
		for way, realm := range map[string]string{"realm": robber.address, "redirect": w.URL + "/token"} {
			t.Run(what+" by "+way, func(t *testing.T) {
				sendsTo(w, realm, robber.address)
				opts := quick()
				opts.CredentialsFile = writeFile(t, home+"/c.json", entry)
				_, err := Resolve(context.Background(), ref, opts)
				if what == "password" && way == "redirect" {
					// The client leaves a password behind on its way to another host.
					check(t, err)
				} else {
					wantError[*TokenServerError](t, err, "localhost", "token_servers")
					noSecret(t, err)
				}
				if loot := strings.Join(robber.loot, ""); loot != "" {
					t.Errorf("another host was sent %q", loot)
				}
			})
		}
	}

	// Without credentials any host may give a token; a named one is sent them.
	sendsTo(w, robber.address, "")
	for _, opts := range []Options{{}, {CredentialsFile: home + "/c.json", TokenServers: []string{"localhost"}}} {
		writeFile(t, home+"/c.json", entries["password"])
		opts.Insecure, opts.Timing = true, quick().Timing
		robber.loot = nil
		r, err := Resolve(context.Background(), ref, opts)
		check(t, err)
		if named := opts.TokenServers != nil; r.Digest != digest || len(robber.loot) == 0 || strings.HasPrefix(robber.loot[0], "Basic") != named {
			t.Errorf("resolved to %+v, sent %q", r, robber.loot)
		}
	}
}

func TestTokenServers(t *testing.T) {
	for _, host := range []string{"", "a b", "https://x.lan", "x.lan:80", "x.lan/auth", "X.lan", "u@x.lan", "*.lan"} {
		if CheckTokenServer(host) == nil {
			t.Errorf("%q passes as a host", host)
		}
	}
	for _, host := range []string{"gitlab.lan", "10.0.0.2", "x"} {
		check(t, CheckTokenServer(host))
	}
}
