package page

import (
	"net"
	"net/http"
	"net/netip"
)

// guard lets in only what a browser sends that was pointed at this machine. A
// name other than localhost is refused, because whoever owns it can have it mean
// this machine (DNS rebinding), and what another site has a browser send, is.
func (p *Page) guard(next http.Handler) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", p.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !here(r.Host):
			http.Error(w, "this page is reached as localhost or by a loopback address", http.StatusMisdirectedRequest)
		case foreign(r.Header):
			http.Error(w, "another site has asked for this", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// here reports whether a Host header means this machine, whoever says so. Ports
// may be forwarded.
func here(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// foreign reports whether a browser says that another site's page asks for this,
// other than by a link that somebody followed.
func foreign(h http.Header) bool {
	switch h.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return h.Get("Sec-Fetch-Mode") != "navigate" || h.Get("Sec-Fetch-Dest") != "document"
}
