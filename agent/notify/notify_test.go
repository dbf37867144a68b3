package notify

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/agent/outbound"
	"github.com/gitboot/gitboot/reconciler/event"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var failed = event.Event{Kind: event.Failed, Machine: "laptöp", Part: event.Machine, Image: "desktop", Error: "no such tag\n\x1b[31mred"}

// Who is told, and of what, follows from the options.
func TestTargets(t *testing.T) {
	names := func(o Options) (all []string) {
		for _, target := range o.Targets() {
			all = append(all, target.Name)
		}
		return all
	}
	if got := names(Options{}); got != nil {
		t.Errorf("nobody is to be told, and %q are", got)
	}
	o := Options{Command: []string{"/bin/true"}, URL: "https://ntfy.lan/x", Desktop: true}
	if got := strings.Join(names(o), " "); got != "command server desktop" {
		t.Errorf("told are %s", got)
	}
	news := event.Event{Kind: event.Looked, Changed: true}
	for what, c := range map[string]struct {
		events []string
		e      event.Event
		want   bool
	}{
		"a failure is usual":         {nil, failed, true},
		"a new revision is not":      {nil, news, false},
		"unless it is asked for":     {[]string{"looked"}, news, true},
		"an old one is no news":      {[]string{"looked"}, event.Event{Kind: event.Looked}, false},
		"what goes on being refused": {nil, event.Event{Kind: event.Refused}, false},
		"a failure that is not":      {[]string{"looked"}, failed, false},
	} {
		o.Events = c.events
		if got := o.Targets()[0].Wants(c.e); got != c.want {
			t.Errorf("%s: %t", what, got)
		}
	}
}

// A server that answers keeps what it was sent.
func listener(t *testing.T) (url string, sent *http.Request, body *[]byte) {
	t.Helper()
	sent, body = new(http.Request), new([]byte)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		*body, _ = io.ReadAll(r.Body)
		*sent = *r
	}))
	t.Cleanup(s.Close)
	return s.URL + "/topic", sent, body
}

// A webhook gets the event as `gitboot events --json` prints it, and in words.
func TestWebhook(t *testing.T) {
	url, sent, body := listener(t)
	token := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(token, []byte("sesame\n"), 0o600))
	must(t, Options{URL: url, TokenFile: token}.Targets()[0].Tell(t.Context(), failed))
	var got struct {
		event.Event
		Message string
	}
	must(t, json.Unmarshal(*body, &got))
	if got.Kind != event.Failed || got.Image != "desktop" || got.Message != `image "desktop" fails: `+failed.Error {
		t.Errorf("%+v", got)
	}
	if h := sent.Header; sent.Method != "POST" || sent.URL.Path != "/topic" || h.Get("Content-Type") != "application/json" || h.Get("Authorization") != "Bearer sesame" {
		t.Errorf("%s %s %v", sent.Method, sent.URL, h)
	}
}

// ntfy's message, title, priority, tags and token are where its documentation
// wants them (docs.ntfy.sh/publish: "Message title", "Message priority", "Tags",
// "Access tokens"), and nothing in them can end a header.
func TestNtfy(t *testing.T) {
	url, sent, body := listener(t)
	o := Options{URL: url, Kind: Ntfy}
	for _, c := range []struct {
		e               event.Event
		priority, tag   string
		title, contains string
	}{
		{failed, "high", "warning", "gitboot on laptöp", `image "desktop" fails: no such tag red`},
		{event.Event{Kind: event.Recovered, Part: event.Repo, Machine: "a\r\nX-Evil: 1"}, "default", "white_check_mark", "gitboot on  X-Evil: 1", "does not fail any more"},
		{event.Event{Kind: event.RebootNeeded, Machine: "m", Reason: "desktop:4", Packages: "1 upgraded (linux)"}, "default", "arrows_counterclockwise", "gitboot on m", "desktop:4; packages: 1 upgraded (linux)"},
		{event.Event{Kind: event.Bad, Machine: "m", Image: "desktop", Generation: 4, Reason: "unit sshd: failed", Log: "[ 1.0] BUG\x1b[31m: soft lockup\n[ 2.0] gitboot-watcher: restarting\n"}, "high", "warning", "gitboot on m",
			"desktop, generation 4, is bad: unit sshd: failed; the log ends with: [ 1.0] BUG: soft lockup"},
		{event.Event{Kind: event.Drifted, Machine: "m", Reason: "boot/gitboot.cfg is missing"}, "default", "information_source", "gitboot on m", "something is not as it was written: boot/gitboot.cfg is missing"},
	} {
		must(t, o.Targets()[0].Tell(t.Context(), c.e))
		title, err := new(mime.WordDecoder).DecodeHeader(sent.Header.Get("Title"))
		if h := sent.Header; err != nil || title != c.title || h.Get("Priority") != c.priority || h.Get("Tags") != c.tag || h.Get("X-Evil") != "" || sent.Method != "POST" {
			t.Errorf("%q %v %v", title, err, h)
		}
		if !strings.Contains(string(*body), c.contains) || strings.ContainsAny(string(*body), "\n\x1b") {
			t.Errorf("%q", *body)
		}
	}
}

// A server that is away for a moment is told all the same.
func TestServerComesBack(t *testing.T) {
	tries := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	client := outbound.New(Options{}.Proxy, "")
	client.First = time.Millisecond
	must(t, server{Options{URL: s.URL}, client}.tell(t.Context(), failed))
	if tries != 3 {
		t.Errorf("it was tried %d times", tries)
	}
}

// What is wrong in agent.toml says what to write instead.
func TestChecks(t *testing.T) {
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"an event":           {CheckEvents([]string{"failed", "booted"}), ""},
		"no event":           {CheckEvents([]string{"faled"}), `did you mean "failed"?`},
		"what nobody hears":  {CheckEvents([]string{"stepped"}), "known are looked, refused, "},
		"a command":          {CheckCommand([]string{"/bin/true", "x"}), ""},
		"a relative command": {CheckCommand([]string{"true"}), "without a shell"},
		"a kind":             {CheckKind("ntfy"), ""},
		"no kind":            {CheckKind("nfty"), `did you mean "ntfy"?`},
	} {
		if (c.err == nil) != (c.want == "") || c.err != nil && !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v", what, c.err)
		}
	}
}
