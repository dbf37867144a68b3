package source

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/pack/attack"
)

// obtained is how much memory this process has ever got of the system.
func obtained() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys)
}

// refuses fetches from a server that sends without end, and expects that it
// ends soon, with little memory.
func refuses(t *testing.T, o Options, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	before, began := obtained(), time.Now()
	_, err := open(t, o).Fetch(ctx, "")
	grown := obtained() - before
	t.Logf("%d MiB more memory, %v: %.200v", grown>>20, time.Since(began), err)
	if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 8<<10 {
		t.Errorf("%.500v; want: %s", err, want)
	}
	if grown > 200<<20 {
		t.Error("that is too much memory")
	}
}

const advertisement = "001e# service=git-upload-pack\n0000"

func pktLine(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

// endlessly writes until nobody listens any more.
func endlessly(w io.Writer, line func(i int) string) {
	for i := 0; ; i++ {
		if _, err := io.WriteString(w, line(i)); err != nil {
			return
		}
	}
}

func manyRefs(w io.Writer) {
	io.WriteString(w, advertisement)
	first := strings.Repeat("1", 40) + " HEAD\x00side-band-64k\n"
	io.WriteString(w, pktLine(first))
	endlessly(w, func(i int) string { return pktLine(fmt.Sprintf("%040x refs/heads/%d\n", i, i)) })
}

// TestEndlessAnswers asks servers that do not stop.
func TestEndlessAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		want  string
		serve func(w http.ResponseWriter)
	}{
		"refs": {"more than 32 MiB as its list of refs", func(w http.ResponseWriter) { manyRefs(w) }},
		"refs in gzip": {"more than 32 MiB as its list of refs", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, advertisement+pktLine(strings.Repeat("1", 40)+" HEAD\x00side-band-64k\n"))
			endlessly(z, func(int) string { return pktLine(strings.Repeat("1", 40) + " refs/heads/main\n") })
		}},
		"a line": {"reaching", func(w http.ResponseWriter) { io.Copy(w, attack.Zeros{}) }},
		"gzip of zeros": {"reaching", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			io.Copy(gzip.NewWriter(w), attack.Zeros{})
		}},
		"an error": {"500", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusInternalServerError)
			io.Copy(w, attack.Zeros{})
		}},
		"an error in gzip": {"access refused", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusUnauthorized)
			io.Copy(gzip.NewWriter(w), attack.Zeros{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			server := newHTTPSServer(t, r)
			server.instead = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
				c.serve(w)
				return true
			}
			refuses(t, server.options(t, r), c.want)
		})
	}
}

// TestEndlessPacks asks for a commit, and is answered without end.
func TestEndlessPacks(t *testing.T) {
	for name, c := range map[string]struct {
		want string
		pack func(w http.ResponseWriter)
	}{
		"acknowledgements": {"more than 1 MiB as its answer", func(w http.ResponseWriter) {
			endlessly(w, func(i int) string { return pktLine(fmt.Sprintf("ACK %040x common\n", i)) })
		}},
		"progress": {"more than 4 MiB as its progress", func(w http.ResponseWriter) { endlessly(w, func(int) string { return pktLine("\x02wait") }) }},
		"an error": {"unexpected error", func(w http.ResponseWriter) {
			endlessly(w, func(int) string { return pktLine("\x03" + strings.Repeat("no ", 2000)) })
		}},
		"zeros": {"malformed", func(w http.ResponseWriter) {
			endlessly(w, func(int) string { return pktLine("\x01" + strings.Repeat("\x00", 60000)) })
		}},
		"nothing at all": {"malformed", func(w http.ResponseWriter) {}},
	} {
		t.Run(name, func(t *testing.T) {
			refuses(t, hostile(t, plumbing.NewHash(strings.Repeat("1", 40)), c.pack), c.want)
		})
	}
}

// TestEndlessSSH is told refs and errors without end, by way of SSH.
func TestEndlessSSH(t *testing.T) {
	key, pub := newKey(t, "client")
	hash := strings.Repeat("1", 40)
	for want, command := range map[string]string{
		"more than 32 MiB as its list of refs": fmt.Sprintf(`printf '0033%s HEAD\0\n'; yes '003d%s refs/heads/main'`, hash, hash),
		"the server says: no no no":            `printf '00'; yes 'no no no' >&2`,
	} {
		server := newSSHServer(t, pub, "ForceCommand "+command)
		refuses(t, server.options(t, newRepo(t), key), want)
	}
}

// TestNotForEver fetches from a server that says a few bytes all the time.
func TestNotForEver(t *testing.T) {
	o := hostile(t, plumbing.NewHash(strings.Repeat("1", 40)), func(w http.ResponseWriter) {
		slow := &slowAnswer{ResponseWriter: w, every: 10 * time.Millisecond}
		endlessly(slow, func(int) string { return "0005\x02" })
	})
	s := open(t, o)
	s.longest = 300 * time.Millisecond
	if _, err := s.Fetch(context.Background(), ""); err == nil || !strings.Contains(err.Error(), "not done after 300ms") {
		t.Error(err)
	}
}
