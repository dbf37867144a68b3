package source

import (
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skeema/knownhosts"
)

// A wire leads to a real server, and fails after some bytes of what it says.
type wire struct {
	net.Listener
	to    string
	limit atomic.Int64 // < 0: none
	cut   atomic.Bool  // ends then, rather than hang
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	w := &wire{Listener: listen(t), to: to}
	w.limit.Store(-1)
	done := t.Context().Done()
	go func() {
		for {
			conn, err := w.Accept()
			if err != nil {
				return
			}
			go w.serve(conn, done)
		}
	}()
	return w
}

func (w *wire) serve(conn net.Conn, done <-chan struct{}) {
	defer conn.Close()
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(server, conn)
	limit := w.limit.Load()
	if limit < 0 {
		io.Copy(conn, server)
		return
	}
	io.CopyN(conn, server, limit)
	if !w.cut.Load() {
		<-done
	}
}

// TestServerFaults has a real server fail at each stage of a conversation. What is
// wrong is told in a line, soon, and the next look finds all well.
func TestServerFaults(t *testing.T) {
	const patience = time.Second
	for name, serve := range map[string]func(t *testing.T, r *repo) (o Options, w *wire){
		"https": func(t *testing.T, r *repo) (Options, *wire) {
			server := newHTTPSServer(t, r)
			o, w := server.options(t, r), newWire(t, server.Listener.Addr().String())
			o.URL = strings.Replace(o.URL, server.Listener.Addr().String(), w.Addr().String(), 1)
			return o, w
		},
		"ssh": func(t *testing.T, r *repo) (Options, *wire) {
			key, pub := newKey(t, "client")
			server := newSSHServer(t, pub)
			o, w := server.options(t, r, key), newWire(t, server.addr)
			o.URL = strings.Replace(o.URL, server.addr, w.Addr().String(), 1)
			writeFile(t, o.KnownHostsFile, knownhosts.Line([]string{w.Addr().String()}, server.hostKey)+"\n")
			return o, w
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait, most of the time
			r := newRepo(t)
			applied := r.commit("a", "1")
			good, w := serve(t, r)
			open(t, good).mustFetch(t, "")
			for _, c := range []struct {
				fault string
				limit int64
				cut   bool
				want  string
			}{
				{"accepts and says nothing", 0, false, "nothing was heard for 1s"},
				{"hangs in the banner, or the handshake", 10, false, "nothing was heard for 1s"},
				{"hangs in the exchange of keys", 300, false, "nothing was heard for 1s"},
				{"hangs in the pack", 100_000, false, "nothing was heard for 1s"},
				{"hangs up at once", 0, true, "EOF|reset by peer"},
				{"hangs up in the exchange of keys", 300, true, "EOF|reset by peer"},
				{"hangs up in the pack", 100_000, true, "EOF|reset by peer|cut short"},
			} {
				r.noise("noise", 400_000)
				tip := r.commitAll(c.fault)
				o := good
				if o.Timeout = patience; c.cut { // what is packed before may take longer than that
					o.Timeout = 15 * patience
				}
				w.limit.Store(c.limit)
				w.cut.Store(c.cut)
				began := time.Now()
				_, err := open(t, o).Fetch(t.Context(), applied)
				took := time.Since(began)
				w.limit.Store(-1)
				if err == nil || !regexp.MustCompile(c.want).MatchString(err.Error()) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), o.URL) {
					t.Errorf("%s: %v; want: %s", c.fault, err, c.want)
				}
				if took > 20*patience {
					t.Errorf("%s: told after %v", c.fault, took)
				}
				if rev := open(t, good).mustFetch(t, applied); rev.Hash != tip {
					t.Errorf("%s: the next look found %s, not %s", c.fault, rev.Hash, tip)
				}
				applied = tip
			}
			w.Close()
			var gone *UnreachableError
			if _, err := open(t, good).Fetch(t.Context(), applied); !errors.As(err, &gone) || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "\n") {
				t.Errorf("down: %v", err)
			}
			lost := good
			lost.URL = strings.Replace(good.URL, w.Addr().String(), "git.invalid", 1)
			if _, err := open(t, lost).Fetch(t.Context(), applied); !errors.As(err, &gone) || !strings.Contains(err.Error(), "lookup git.invalid") || strings.Contains(err.Error(), "\n") {
				t.Errorf("no such name: %v", err)
			}
		})
	}
}
