package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/agent/outbound"
	"github.com/gitboot/gitboot/internal/proxy"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/report"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func tokenFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(path, []byte("sesame\n"), 0o600))
	return path
}

// A fake forge notes what it is asked, and answers as it is told to.
type fakeForge struct {
	*httptest.Server
	asked chan string
}

func newForge(t *testing.T, answer func(n int, w http.ResponseWriter)) *fakeForge {
	t.Helper()
	f := &fakeForge{asked: make(chan string, 100)}
	n := 0
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n++
		answer(n, w)
		f.asked <- r.Method + " " + r.RequestURI + " " + string(body)
	}))
	t.Cleanup(f.Close)
	return f
}

func created(_ int, w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) }

// Each forge gets the request that its documentation describes: path, header and
// body, and nothing else.
//
//	github   docs.github.com/en/rest/commits/statuses#create-a-commit-status
//	gitlab   docs.gitlab.com/api/commits/#set-commit-pipeline-status, and for the
//	         path docs.gitlab.com/api/rest/#namespaced-paths
//	gitea    docs.gitea.com/api (repoCreateStatus), and for the token
//	         docs.gitea.com/development/api-usage
//	forgejo  forgejo.org/docs/latest/user/api-usage, and codeberg.org/api/swagger
func TestDocuments(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for _, c := range []struct {
		kind, repo       string
		status           Status
		uri, auth, state string
		more             map[string]string
	}{
		{GitHub, "ada/fleet", Status{"abc", Success, "staged"}, "/api/v3/repos/ada/fleet/statuses/abc", "Authorization: Bearer sesame", "success",
			map[string]string{"Accept": "application/vnd.github+json", "X-Github-Api-Version": "2022-11-28"}},
		{GitHub, "ada/fleet", Status{"abc", Overtaken, long}, "/api/v3/repos/ada/fleet/statuses/abc", "Authorization: Bearer sesame", "pending", nil},
		{GitLab, "group/sub/fleet", Status{"abc", Failure, "no such tag"}, "/api/v4/projects/group%2Fsub%2Ffleet/statuses/abc", "Private-Token: sesame", "failed", nil},
		{GitLab, "group/fleet", Status{"abc", Overtaken, "x"}, "/api/v4/projects/group%2Ffleet/statuses/abc", "Private-Token: sesame", "canceled", nil},
		{Gitea, "ada/fleet", Status{"abc", Failure, "a\x1b[31m\nb"}, "/api/v1/repos/ada/fleet/statuses/abc", "Authorization: token sesame", "failure", nil},
		{Forgejo, "ada/fleet", Status{"abc", Pending, "seen"}, "/api/v1/repos/ada/fleet/statuses/abc", "Authorization: token sesame", "pending", nil},
	} {
		var sent *http.Request
		var body map[string]string
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent = r
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusCreated)
		}))
		o := Options{Kind: c.kind, URL: s.URL + "/", Repo: c.repo, TokenFile: tokenFile(t), Machine: "laptop"}
		must(t, o.Check())
		r := NewReporter(o, slog.New(slog.DiscardHandler))
		must(t, r.send(t.Context(), c.status))
		s.Close()
		name, value, _ := strings.Cut(c.auth, ": ")
		if sent.Method != "POST" || sent.RequestURI != c.uri || sent.Header.Get(name) != value || sent.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s %s %v", c.kind, sent.Method, sent.RequestURI, sent.Header)
		}
		for name, value := range c.more {
			if sent.Header.Get(name) != value {
				t.Errorf("%s: %s is %q", c.kind, name, sent.Header.Get(name))
			}
		}
		label := map[string]string{GitLab: "name"}[c.kind]
		if label == "" {
			label = "context"
		}
		said := body["description"]
		if n := len([]rune(said)); n > description || n == 0 || strings.ContainsAny(said, "\x1b\n") {
			t.Errorf("%s: it says %q", c.kind, said)
		}
		delete(body, "description")
		if diff := cmp.Diff(map[string]string{"state": c.state, label: "gitboot/laptop"}, body); diff != "" {
			t.Errorf("%s: %s", c.kind, diff)
		}
	}
	if doc, err := (Options{Kind: GitHub, Sources: []string{"git@github.com:ada/fleet.git"}}).document(Status{Revision: "abc"}); err != nil || doc.URL != "https://api.github.com/repos/ada/fleet/statuses/abc" {
		t.Errorf("%s %v", doc.URL, err)
	}
}

// Where the forge is follows from where the config repo is, unless it is said.
func TestPlace(t *testing.T) {
	for source, want := range map[string]string{
		"https://git.lan/ada/fleet.git":        "https://git.lan ada/fleet",
		"https://git.lan:3000/g/sub/fleet/":    "https://git.lan:3000 g/sub/fleet",
		"ssh://git@git.lan:2222/ada/fleet.git": "https://git.lan ada/fleet",
		"git@git.lan:ada/fleet.git":            "https://git.lan ada/fleet",
		"/srv/fleet":                           " ",
	} {
		if base, repo := (Options{Sources: []string{source}}).place(); base+" "+repo != want {
			t.Errorf("%s: %s %s", source, base, repo)
		}
	}
	if base, repo := (Options{Sources: []string{"git@git.lan:a/b"}, URL: "https://web.lan/git/", Repo: "c/d"}).place(); base != "https://web.lan/git" || repo != "c/d" {
		t.Errorf("%s %s", base, repo)
	}
	// Of several remotes, the one on the forge says where the repo is there.
	both := []string{"/srv/fleet", "https://git.lan/ada/fleet", "git@mirror.lan:fleets/ours.git"}
	for url, want := range map[string]string{"": "https://git.lan ada/fleet", "https://mirror.lan/": "https://mirror.lan fleets/ours", "https://web.lan": "https://web.lan ada/fleet"} {
		if base, repo := (Options{Sources: both, URL: url}).place(); base+" "+repo != want {
			t.Errorf("%q: %s %s", url, base, repo)
		}
	}
	for what, c := range map[string]struct {
		o    Options
		want string
	}{
		"all is there":   {Options{Sources: []string{"https://git.lan/ada/fleet"}, TokenFile: "/t"}, ""},
		"no token":       {Options{Sources: []string{"https://git.lan/ada/fleet"}}, "token_file"},
		"no address":     {Options{Sources: []string{"/srv/fleet"}, TokenFile: "/t"}, "write url"},
		"not encrypted":  {Options{Sources: []string{"/srv/fleet"}, URL: "http://git.lan", TokenFile: "/t"}, "is not encrypted"},
		"no path":        {Options{Sources: []string{"https://git.lan/"}, TokenFile: "/t"}, "OWNER/NAME"},
		"a path that is": {Options{URL: "https://git.lan", Repo: "ada/../../x", TokenFile: "/t"}, "OWNER/NAME"},
	} {
		if err := c.o.Check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := CheckKind("gitab"); err == nil || !strings.Contains(err.Error(), `did you mean "gitlab"?`) {
		t.Error(err)
	}
}

// A scene is a reporter that runs, of an agent whose state the test sets.
type scene struct {
	*Reporter
	set chan live.Status
}

func play(t *testing.T, o Options, log *slog.Logger) *scene {
	t.Helper()
	s := &scene{NewReporter(o, log), make(chan live.Status, 1)}
	s.settle = time.Millisecond
	s.client = outbound.New(proxy.Settings{}, "")
	s.client.First, s.client.Most = time.Millisecond, 2*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var now live.Status
	go func() {
		defer close(ended)
		s.Run(ctx, func(context.Context) (live.Status, report.Status, error) {
			select {
			case now = <-s.set:
			default:
			}
			return now, staged(now.Applied), nil
		})
	}()
	t.Cleanup(func() { stop(); <-ended })
	return s
}

func (s *scene) becomes(l live.Status) {
	s.set <- l
	s.Notice(event.Event{Kind: event.Began})
}

func done(revision string) live.Status {
	l := following(revision, "Converged")
	l.Applied = revision
	return l
}

// A commit is told what becomes of it, once each; one that is overtaken is told
// that, too.
func TestReporter(t *testing.T) {
	f := newForge(t, created)
	s := play(t, Options{Kind: Gitea, URL: f.URL, Repo: "ada/fleet", TokenFile: tokenFile(t), Machine: "laptop"}, slog.New(slog.DiscardHandler))
	expect := func(l live.Status, want ...string) {
		t.Helper()
		s.becomes(l)
		for _, w := range want {
			if got := <-f.asked; !strings.Contains(got, w) {
				t.Errorf("asked is %s, not %s", got, w)
			}
		}
	}
	expect(following("r1", "Converging"), `statuses/r1 {"context":"gitboot/laptop","description":"seen by this machine","state":"pending"}`)
	expect(running(following("r1", "Converging"), event.Machine), `"staging","state":"pending"`)
	expect(done("r1"), `"state":"success"`)
	expect(done("r1"))
	s.Notice(event.Event{Kind: event.Looked}) // no news
	expect(running(following("r2", "Converging"), event.Machine), `statuses/r2 {"context":"gitboot/laptop","description":"staging"`)
	expect(done("r3"), `statuses/r3 `, `statuses/r2 {"context":"gitboot/laptop","description":"passed over: r3 came first"`)
	if len(f.asked) > 0 {
		t.Errorf("asked is %s, too", <-f.asked)
	}
}

// A forge that is away or busy is told later what is so then; one that refuses is
// left alone. The token is in no log.
func TestForgeIsAway(t *testing.T) {
	var log bytes.Buffer
	f := newForge(t, func(n int, w http.ResponseWriter) {
		switch {
		case n == 1:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		case n <= 3:
			w.WriteHeader(http.StatusBadGateway)
		case n == 5:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "no such repo")
		default:
			w.WriteHeader(http.StatusCreated)
		}
	})
	s := play(t, Options{Kind: GitHub, URL: f.URL, Repo: "ada/fleet", TokenFile: tokenFile(t), Machine: "laptop"}, slog.New(slog.NewTextHandler(&log, nil)))
	s.becomes(following("r1", "Converging"))
	for range 4 {
		<-f.asked
	}
	s.becomes(done("r1")) // is refused
	s.becomes(done("r1"))
	if got := <-f.asked; !strings.Contains(got, "success") {
		t.Error(got)
	}
	s.becomes(done("r2"))
	if got := <-f.asked; !strings.Contains(got, "statuses/r2") {
		t.Error(got)
	}
	text := log.String()
	if !strings.Contains(text, "429 Too Many Requests") || !strings.Contains(text, "404 Not Found: no such repo") || strings.Contains(text, "sesame") {
		t.Errorf("the log says %s", text)
	}
}

// GitLab's states are a job's: it is not told again that a commit is pending, and
// what it refuses because it is so already is told.
func TestGitLabsStates(t *testing.T) {
	var log bytes.Buffer
	f := newForge(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"message":"Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}`)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	s := play(t, Options{Kind: GitLab, URL: f.URL, Repo: "ada/fleet", TokenFile: tokenFile(t), Machine: "laptop"}, slog.New(slog.NewTextHandler(&log, nil)))
	s.becomes(following("r1", "Converging"))
	<-f.asked
	s.becomes(running(following("r1", "Converging"), event.Machine))
	s.becomes(done("r1"))
	if got := <-f.asked; !strings.Contains(got, "success") {
		t.Error(got)
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s", log.String())
	}
}

// No more commits are remembered than are of use.
func TestRemembered(t *testing.T) {
	r := NewReporter(Options{}, slog.New(slog.DiscardHandler))
	for i := range 3 * remembered {
		r.remember(Status{Revision: fmt.Sprint(i), State: Pending})
		r.remember(Status{Revision: fmt.Sprint(i), State: Success})
	}
	if len(r.told) != remembered || len(r.order) != remembered || r.told[fmt.Sprint(3*remembered-1)].State != Success {
		t.Errorf("%d are remembered, in order %d", len(r.told), len(r.order))
	}
}
