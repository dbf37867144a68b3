// Package page shows an agent in a browser: what is staged, what is being done,
// what comes next and what has been, live. It is one document that asks for
// nothing outside, is readable without scripts, and is made of what package view
// says.
//
// Whoever reaches its address may read. Who opens it with a key that the agent's
// socket gave may act, too: with a cookie and, because browsers show the cookies
// of one port to all others of a host, a path that only that page knows.
//
//	GET  /                 the page
//	GET  /events           its changes, as server-sent events
//	GET  /log/IMAGE        what an image's last build printed
//	GET  /open?key=K       a session; the rest is below its path, /s/…/
//	POST /s/…/do           an action
//	GET  /s/…/plan         what would change
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/agent/page/view"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
)

//go:embed assets
var assets embed.FS

// Options are what the page shows, and acts on.
type Options struct {
	Board *live.Board
	// Report reads what is staged, Runs what has been done.
	Report func(context.Context) (report.Status, error)
	Runs   func() ([]state.Run, error)
	// Tail is the end of an image's last build's log, Log writes all of it.
	Tail func(image string) (string, error)
	Log  func(ctx context.Context, image string, w io.Writer) error
	// Plan says what would change.
	Plan func(context.Context) ([]plan.Action, error)
	// Actions are what Do knows, by name.
	Actions []string
	// Do does what somebody wishes, in the words of the agent's socket, and says
	// what was done.
	Do  func(ctx context.Context, by, name string, w Wish) (string, error)
	Now func() time.Time
	Err *slog.Logger
}

// A Wish is what an action is given; the fields are those of the socket's.
type Wish struct {
	Name  string `json:"name,omitempty"`
	Label string `json:"label,omitempty"`
	Why   string `json:"why,omitempty"`
	For   string `json:"for,omitempty"`
}

// A Page serves all who look.
type Page struct {
	opts     Options
	template *template.Template
	css      template.CSS
	js       template.JS
	policy   string
	// build tells pages of another gitboot that they have to be loaded again.
	build    string
	can      map[string]bool
	sessions sessions
	facts    facts
	hub      hub
	planning chan struct{}
}

// New makes a page.
func New(opts Options) (*Page, error) {
	t, err := template.ParseFS(assets, "assets/page.html")
	if err != nil {
		return nil, err
	}
	css, err := assets.ReadFile("assets/page.css")
	if err != nil {
		return nil, err
	}
	js, err := assets.ReadFile("assets/page.js")
	if err != nil {
		return nil, err
	}
	p := &Page{
		opts: opts, template: t, css: template.CSS(css), js: template.JS(js), planning: make(chan struct{}, 1),
		policy: fmt.Sprintf("default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; img-src data:; connect-src 'self'; "+
			"form-action 'self'; frame-ancestors 'none'; base-uri 'none'", digest(js), digest(css)),
		sessions: sessions{now: opts.Now},
	}
	p.can = map[string]bool{}
	for _, name := range opts.Actions {
		p.can[name] = true
	}
	whole := sha256.New()
	for _, part := range [][]byte{css, js, []byte(t.Lookup("page").Tree.Root.String()), []byte(opts.Board.Snapshot().Version)} {
		whole.Write(part) // never fails
	}
	p.build = hex.EncodeToString(whole.Sum(nil)[:8])
	p.facts.opts, p.hub.page = &p.opts, p
	return p, nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Handler serves the page.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { p.show(w, r, nil) })
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) { p.follow(w, r, false) })
	mux.HandleFunc("GET /log/{image}", p.log)
	mux.HandleFunc("GET /open", p.open)
	mux.HandleFunc("GET /s/{token}/{$}", p.within(func(w http.ResponseWriter, r *http.Request, s *session) { p.show(w, r, s) }))
	mux.HandleFunc("GET /s/{token}/events", p.within(func(w http.ResponseWriter, r *http.Request, _ *session) { p.follow(w, r, true) }))
	mux.HandleFunc("GET /s/{token}/log/{image}", p.within(func(w http.ResponseWriter, r *http.Request, _ *session) { p.log(w, r) }))
	mux.HandleFunc("GET /s/{token}/plan", p.within(p.plan))
	mux.HandleFunc("POST /s/{token}/do", p.within(p.act))
	return p.guard(mux)
}

// content is what the templates are given.
type content struct {
	View   view.Page
	CSS    template.CSS
	JS     template.JS
	Build  string
	Acting bool
	// Can are the actions that there are.
	Can  map[string]bool
	Said *said
}

func (p *Page) show(w http.ResponseWriter, r *http.Request, s *session) {
	c := content{View: view.Of(p.facts.get(r.Context())), CSS: p.css, JS: p.js, Build: p.build, Acting: s != nil, Can: p.can}
	if s != nil {
		c.Said = p.sessions.told(s)
	}
	p.execute(w, "page", c)
}

func (p *Page) execute(w http.ResponseWriter, name string, data any) {
	var out bytes.Buffer
	if err := p.template.ExecuteTemplate(&out, name, data); err != nil {
		p.opts.Err.Error("the page cannot be shown", "error", err)
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = out.WriteTo(w) // who asked may have gone
}

// log shows what a build printed, as text.
func (p *Page) log(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	lines := &lineWriter{to: w}
	if err := p.opts.Log(r.Context(), r.PathValue("image"), lines); err != nil {
		http.Error(w, view.Lines(err.Error()), http.StatusNotFound)
		return
	}
	lines.end()
}

type planned struct {
	CSS   template.CSS
	Steps []view.Step
	Wrong string
}

// plan shows what would change, for one at a time: it asks servers.
func (p *Page) plan(w http.ResponseWriter, r *http.Request, _ *session) {
	select {
	case p.planning <- struct{}{}:
		defer func() { <-p.planning }()
	case <-r.Context().Done():
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), planTime)
	defer cancel()
	c := planned{CSS: p.css}
	actions, err := p.opts.Plan(ctx)
	if err != nil {
		c.Wrong = view.Lines(err.Error())
	}
	c.Steps = view.Steps(actions)
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return
	}
	p.execute(w, "plan", c)
}

const (
	// planTime is how long finding out what would change may take.
	planTime = time.Minute
	// sendTime is how long an answer may take to leave.
	sendTime = 10 * time.Second
)
