package uploadpack

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	one   = "1111111111111111111111111111111111111111"
	other = "2222222222222222222222222222222222222222"
)

// packet is a line of the protocol.
func packet(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

func TestParse(t *testing.T) {
	asked, err := parse(strings.NewReader(packet("want "+one+" side-band-64k agent=git/2\n") + packet("want "+other+"\n") + packet("shallow "+other+"\n") + "0000" +
		packet("have "+other+"\n") + packet("done\n") + packet("have "+one+"\n")))
	if err != nil || len(asked.wants) != 2 || len(asked.haves) != 1 || !asked.done || len(asked.ends) != 1 || !asked.may("side-band-64k") || asked.may("ofs-delta") {
		t.Errorf("%+v, %v", asked, err)
	}
	for what, request := range map[string]string{
		"depth":               packet("want "+one+"\n") + packet("deepen 1") + "0000",
		"a filter":            packet("want "+one+" filter\n") + packet("filter blob:none") + "0000",
		"no hash":             packet("want main\n") + "0000",
		"another word":        packet("wish "+one+"\n") + "0000",
		"no have":             packet("want "+one+"\n") + "0000" + packet("have main\n"),
		"a line that is cut":  packet("want " + one + "\n")[:20],
		"a length that lies":  "ffff" + packet("want "+one+"\n"),
		"a length that is no": "zzzz",
	} {
		if asked, err := parse(strings.NewReader(request)); err == nil {
			t.Errorf("%s: %+v", what, asked)
		}
	}
}

// What is no request of git's for what there is gets a short answer, and no pack.
func TestRequests(t *testing.T) {
	s := Repo{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}.Handler()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 10_000 {
		fmt.Fprint(z, strings.Repeat(packet("want "+one+"\n"), 100))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	const kind = "application/x-git-upload-pack-request"
	for what, c := range map[string]struct {
		method, path, kind, encoding, body string
		status                             int
		says                               string
	}{
		"dumb":            {"GET", "/info/refs", "", "", "", 403, "git clone"},
		"a push":          {"GET", "/info/refs?service=git-receive-pack", "", "", "", 403, "git clone"},
		"a file":          {"GET", "/objects/info/packs", "", "", "", 404, ""},
		"no git":          {"POST", "/git-upload-pack", "text/plain", "", "", 415, ""},
		"no gzip":         {"POST", "/git-upload-pack", kind, "gzip", "0000", 400, "no gzip"},
		"much in little":  {"POST", "/git-upload-pack", kind, "gzip", bomb.String(), 200, "ERR"},
		"much":            {"POST", "/git-upload-pack", kind, "", strings.Repeat(packet("want "+one+"\n"), 100_000), 200, "ERR"},
		"of nothing":      {"POST", "/git-upload-pack", kind, "", packet("want "+one+"\n") + "0000" + packet("done\n"), 200, "not our ref"},
		"malformed":       {"POST", "/git-upload-pack", kind, "", "zzzz", 200, "ERR"},
		"of an empty one": {"GET", "/info/refs?service=git-upload-pack", "", "", "", 200, "capabilities^{}"},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		r.Header.Set("Content-Encoding", c.encoding)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) || w.Body.Len() > 400 {
			t.Errorf("%s: %d %.500s", what, w.Code, w.Body)
		}
		if w.Header().Get("Content-Type") == "text/html; charset=utf-8" || c.status == http.StatusOK && w.Header().Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %v", what, w.Header())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(packet("want "+one+" multi_ack_detailed\n") + "0000" + packet("have "+other+"\n") + packet("done\n")))
	f.Add([]byte(packet("want "+one+"\n") + packet("shallow "+one+"\n") + "0000" + packet("have "+other+"\n") + "0000"))
	f.Fuzz(func(t *testing.T, request []byte) {
		asked, err := parse(bytes.NewReader(request))
		if n := len(asked.wants) + len(asked.haves) + len(asked.ends); n*44 > len(request) || err == nil && len(asked.wants) == 0 && len(asked.can) > 0 {
			t.Errorf("%q: %+v", request, asked)
		}
	})
}
