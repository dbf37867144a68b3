package doctor

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/agent/mirror"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// What answers where this machine is to give to others is asked as they would ask it.
func TestServe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stage")
	st, err := stage.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	doc := &state.Machine{Version: state.Version, Images: map[string]*state.Image{}}
	if err := doc.Save(dir, nil); err != nil {
		t.Fatal(err)
	}
	ours := mirror.New(mirror.Options{Stage: st, Log: slog.New(slog.DiscardHandler)})
	own := httptest.NewServer(ours)
	defer own.Close()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	secure := httptest.NewTLSServer(ours)
	defer secure.Close()
	leaf := secure.Certificate()
	socket := filepath.Join(t.TempDir(), "serve.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	local := &httptest.Server{Listener: l, Config: &http.Server{Handler: ours, ReadHeaderTimeout: time.Minute}}
	local.Start()
	defer local.Close()
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for what, c := range map[string]struct {
		at      Served
		now     time.Time
		verdict Verdict
		says    string
	}{
		"nothing is given":       {Served{}, time.Now(), Skip, "nothing is given to other machines"},
		"its own":                {Served{Address: at(own)}, time.Now(), OK, "answers, and gives what is on the stage, once something is, to who is on this machine"},
		"a socket":               {Served{Address: "unix://" + socket, TLS: true}, time.Now(), OK, "answers"},
		"with TLS":               {Served{Address: at(secure), TLS: true}, leaf.NotBefore.Add(time.Hour), OK, "answers"},
		"TLS that ends soon":     {Served{Address: at(secure), TLS: true}, leaf.NotAfter.Add(-time.Hour), Warn, "ends, or ended, on " + leaf.NotAfter.UTC().Format(time.DateOnly)},
		"TLS where there is not": {Served{Address: at(own), TLS: true}, time.Now(), Warn, "should be given out at"},
		"no TLS where there is":  {Served{Address: at(secure)}, time.Now(), Warn, "/v2/ is answered with 400"},
		"another's":              {Served{Address: at(other)}, time.Now(), Warn, "/v2/ is answered with 404"},
		"nobody":                 {Served{Address: "unix://" + socket + ".none"}, time.Now(), Warn, "no such file"},
		"no config repo":         {Served{Address: at(own), Repo: true}, time.Now(), Warn, "does not give the config repo: /repo/info/refs"},
	} {
		now := c.now
		v := &visit{Patient: Patient{Serve: c.at, Config: reconciler.Config{Stage: dir, Now: func() time.Time { return now }}}}
		v.doc = func() (*state.Machine, error) { return doc, nil }
		found := checkServe(t.Context(), v)
		if len(found) != 1 || found[0].Verdict != c.verdict || !strings.Contains(found[0].Message, c.says) || (c.verdict == Warn) != (found[0].Remedy != "") {
			t.Errorf("%s: %+v", what, found)
		}
	}
}
