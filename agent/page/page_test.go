package page

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/event"
)

// ask asks the page for something, and returns the answer and its text.
func (w *world) ask(t *testing.T, client *http.Client, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	answer, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

// opened is a client with a session, and the session's path.
func (w *world) opened(t *testing.T) (*http.Client, string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	answer, _ := w.ask(t, client, "GET", "/open?key="+w.Key("ada"), "")
	_, path, ok := strings.Cut(answer.Header.Get("Refresh"), "url=")
	if !ok {
		t.Fatalf("%s, %v", answer.Status, answer.Header)
	}
	return client, path
}

// Only what a browser sends that was pointed at this machine is answered.
func TestGuard(t *testing.T) {
	w := newWorld(t)
	client, path := w.opened(t)
	for _, c := range []struct {
		what, method, path string
		headers            []string
		code               int
	}{
		{"by address", "GET", "/", nil, 200},
		{"through a forwarded port", "GET", "/", []string{"Host", "localhost:9000"}, 200},
		{"through one of IPv6", "GET", "/", []string{"Host", "[::1]:9000"}, 200},
		{"a name that means this machine", "GET", "/", []string{"Host", "attacker.example:80"}, 421},
		{"one that looks like it", "GET", "/", []string{"Host", "localhost.attacker.example"}, 421},
		{"another machine's address", "GET", "/", []string{"Host", "10.0.0.1"}, 421},
		{"none", "GET", "/", []string{"Host", " "}, 421},
		{"a link elsewhere", "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		{"a frame elsewhere", "GET", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		{"a script elsewhere", "GET", "/events", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"}, 403},
		{"a page of another port", "GET", "/", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403},
		{"another site's form", "POST", path + "do", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 403},
		{"a form of another port", "POST", path + "do", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 403},
		{"an older browser's", "POST", path + "do", []string{"Origin", "http://attacker.example"}, 403},
		{"no such page", "GET", "/etc/passwd", nil, 404},
		{"a path that leads back", "GET", "/log/..%2f..%2fstate.json", nil, 404},
		{"a log that there is not", "GET", "/log/server", nil, 404},
	} {
		answer, text := w.ask(t, client, c.method, c.path, strings.Repeat("do=resume", map[string]int{"POST": 1}[c.method]), c.headers...)
		if answer.StatusCode != c.code {
			t.Errorf("%s: %s", c.what, answer.Status)
		}
		if c.code == 200 && !strings.Contains(answer.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'sha256-") {
			t.Errorf("%s: %v", c.what, answer.Header)
		}
		if strings.Contains(text, "\x1b") {
			t.Errorf("%s: %q", c.what, text)
		}
	}
	if len(w.did) > 0 {
		t.Errorf("done was %q", w.did)
	}
}

// Who has no key acts on nothing: a session needs its path and its cookie, and a
// key opens one session.
func TestSessions(t *testing.T) {
	w := newWorld(t)
	client, path := w.opened(t)
	form := "do=pin&name=desktop:12&label=mine"
	if answer, text := w.ask(t, client, "POST", path+"do", form); answer.StatusCode != 200 || !strings.Contains(text, "done: pin") {
		t.Errorf("%s: %s", answer.Status, text)
	}
	if want := []string{"ada pin {desktop:12 mine  }"}; !slices.Equal(w.did, want) {
		t.Fatalf("done was %q", w.did)
	}
	if _, text := w.ask(t, client, "GET", path, ""); strings.Contains(text, "done: pin") {
		t.Error("what was done is told again")
	}
	if _, text := w.ask(t, client, "POST", path+"do", "do=pin&label=wrong"); !strings.Contains(text, "the label &lt;b&gt;is wrong") {
		t.Errorf("a failure is not told: %s", text)
	}
	w.did = nil
	base, err := url.Parse(w.url + path)
	if err != nil {
		t.Fatal(err)
	}
	cookie := client.Jar.Cookies(base)[0]
	header := cookie.Name + "=" + cookie.Value
	other, otherPath := w.opened(t)
	for what, try := range map[string]func() *http.Response{
		"the path without a cookie": func() *http.Response { r, _ := w.ask(t, http.DefaultClient, "POST", path+"do", form); return r },
		"another's cookie":          func() *http.Response { r, _ := w.ask(t, other, "POST", path+"do", form); return r },
		"the cookie without a path": func() *http.Response {
			r, _ := w.ask(t, http.DefaultClient, "POST", "/do", form, "Cookie", header)
			return r
		},
		"the cookie on another's path": func() *http.Response {
			r, _ := w.ask(t, http.DefaultClient, "POST", otherPath+"do", form, "Cookie", header)
			return r
		},
		"a GET":     func() *http.Response { r, _ := w.ask(t, client, "GET", path+"do?"+form, ""); return r },
		"no action": func() *http.Response { r, _ := w.ask(t, client, "POST", path+"do", "do=shell"); return r },
		"a form too large": func() *http.Response {
			r, _ := w.ask(t, client, "POST", path+"do", "do=pin&name="+strings.Repeat("x", maxForm))
			return r
		},
		"a key that is none": func() *http.Response { r, _ := w.ask(t, client, "GET", "/open?key=", ""); return r },
	} {
		if answer := try(); answer.StatusCode < 400 {
			t.Errorf("%s: %s", what, answer.Status)
		}
	}
	key := w.Key("eve")
	w.ask(t, &http.Client{}, "GET", "/open?key="+key, "")
	if answer, _ := w.ask(t, &http.Client{}, "GET", "/open?key="+key, ""); answer.StatusCode != 403 {
		t.Errorf("a key opens twice: %s", answer.Status)
	}
	if len(w.did) > 0 {
		t.Errorf("done was %q", w.did)
	}
	if _, text := w.ask(t, client, "GET", "/", ""); strings.Contains(text, "<form") {
		t.Error("the page without a session has forms")
	}
	if answer, _ := w.ask(t, client, "GET", path+"plan", ""); answer.StatusCode != 200 {
		t.Errorf("the plan: %s", answer.Status)
	}
}

// Keys and sessions end.
func TestSessionsEnd(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.sessions.now = func() time.Time { return now }
	old := w.Key("ada")
	now = now.Add(keyLives + time.Second)
	if w.sessions.redeem(old) != nil {
		t.Error("an old key opens")
	}
	s := w.sessions.redeem(w.Key("ada"))
	now = now.Add(sessionLives + time.Second)
	if s == nil || w.sessions.find(s.path, s.cookie) != nil {
		t.Error("an old session acts")
	}
	for range 3 * sessionsKept {
		w.sessions.redeem(w.Key("ada"))
		w.Key("ada")
	}
	if len(w.sessions.all) > sessionsKept || len(w.sessions.keys) > sessionsKept {
		t.Errorf("%d sessions and %d keys are kept", len(w.sessions.all), len(w.sessions.keys))
	}
}

// What strangers have written is shown as what it is.
func TestHostileWords(t *testing.T) {
	w := newWorld(t)
	const evil = "</pre><script>alert(1)</script>\x1b]0;x\x07 \u202egnp"
	w.board.Tell(event.Event{Kind: event.Looked, Machine: evil, Revision: hash, Subject: evil, Author: evil, Changed: true})
	w.board.Tell(event.Event{Kind: event.Failed, Machine: evil, Part: event.Machine, Image: evil, Error: evil})
	_, text := w.ask(t, http.DefaultClient, "GET", "/", "")
	if strings.Contains(text, "<script>alert") || strings.Contains(text, "\x1b") || strings.Contains(text, "\u202e") || !strings.Contains(text, "&lt;script&gt;alert(1)") {
		t.Error("a stranger's words are not shown as such")
	}
	if _, log := w.ask(t, http.DefaultClient, "GET", "/log/desktop", ""); log != "STEP 1/3: FROM <base>\nthe end\n" {
		t.Errorf("the log is %q", log)
	}
}

// A listener reads the messages of one page.
type listener struct{ news chan news }

func (w *world) listen(t testing.TB, path string) listener {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	l := listener{make(chan news, 100)}
	go func() {
		lines := bufio.NewReader(answer.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				var n news
				if json.Unmarshal([]byte(data), &n) == nil {
					l.news <- n
				}
			}
		}
	}()
	return l
}

// until waits for a message whose section has a text.
func (l listener) until(t testing.TB, section, text string) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case n := <-l.news:
			if strings.Contains(n.Sections[section], text) {
				return
			}
		case <-deadline.C:
			t.Fatalf("section %s is never %q", section, text)
		}
	}
}

// A page that is open is told what has changed, and no more.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.rest()
	l := w.listen(t, "/events")
	l.until(t, "top", "Ready")
	w.board.Tell(event.Event{Time: time.Now(), Kind: event.Refused, Machine: "laptop", Part: event.Repo, Error: "no route to host"})
	select {
	case n := <-l.news:
		if !strings.Contains(n.Sections["alerts"], "no route to host") || n.Sections["next"] != "" || n.Sections["history"] != "" {
			t.Errorf("told is %v", n.Sections)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nothing is told")
	}
}

// Nobody renders anything where nobody looks.
func TestHubRests(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		if !w.hub.join() {
			t.Fatal("nobody may look")
		}
	}
	w.hub.leave()
	w.hub.leave()
	if w.hub.open != 0 {
		t.Errorf("%d look", w.hub.open)
	}
	_, changed := w.hub.now(false)
	w.rest()
	select {
	case <-changed:
		t.Error("it is rendered for nobody")
	case <-time.After(3 * breath):
	}
}
