package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gitboot/gitboot/agent/page/view"
)

const (
	// breath is how long who looks is left alone after a change is shown: what
	// changes meanwhile comes together.
	breath = 100 * time.Millisecond
	// stale is how long a page that is open waits for an event before it looks
	// whether another process has changed something.
	stale = 10 * time.Second
	// viewers are how many pages may be open.
	viewers = 200
)

// A hub renders a change once, for all pages that are open, and nothing while
// there is none.
type hub struct {
	page *Page

	mu      sync.Mutex
	open    int
	stop    context.CancelFunc
	current [2]map[string]string // sections by id, for those who look and who act
	changed chan struct{}
}

// sections are the parts of a page that change.
func sections() []string {
	return []string{"top", "alerts", "now", "images", "conditions", "actions", "next", "signs", "history"}
}

// render makes the sections of a page.
func (p *Page) render(facts view.Facts, acting bool) (map[string]string, error) {
	c := content{View: view.Of(facts), Acting: acting, Can: p.can}
	out := map[string]string{}
	for _, name := range sections() {
		if name == "actions" && !acting {
			continue
		}
		var html bytes.Buffer
		if err := p.template.ExecuteTemplate(&html, name, c); err != nil {
			return nil, fmt.Errorf("render %s: %w", name, err)
		}
		out[name] = html.String()
	}
	return out, nil
}

// join begins to render if nobody else looks yet, and is false if too many do.
func (h *hub) join() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == viewers {
		return false
	}
	if h.open++; h.open == 1 {
		ctx, stop := context.WithCancel(context.Background())
		h.stop, h.changed, h.current = stop, make(chan struct{}), [2]map[string]string{}
		go h.run(ctx)
	}
	return true
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open--; h.open == 0 {
		h.stop()
	}
}

// run renders each change until nobody looks.
func (h *hub) run(ctx context.Context) {
	look := time.NewTicker(stale)
	defer look.Stop()
	for {
		changed := h.page.opts.Board.Changed() // before the look, so that nothing is missed
		h.update(ctx)
		rested := time.NewTimer(breath)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-look.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-rested.C:
		}
	}
}

func (h *hub) update(ctx context.Context) {
	facts := h.page.facts.get(ctx)
	var next [2]map[string]string
	for i := range next {
		var err error
		if next[i], err = h.page.render(facts, i == 1); err != nil {
			h.page.opts.Err.Error("the page cannot be shown", "error", err)
			return
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return // another has begun
	}
	h.current = next
	close(h.changed)
	h.changed = make(chan struct{})
}

// now is what is rendered, and what is closed when that is another.
func (h *hub) now(acting bool) (map[string]string, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if acting {
		return h.current[1], h.changed
	}
	return h.current[0], h.changed
}

// news is one message to a page.
type news struct {
	Build    string            `json:"build"`
	Sections map[string]string `json:"sections"`
}

// follow sends a page the sections that have changed, until it is closed: first
// all, then those that are others.
func (p *Page) follow(w http.ResponseWriter, r *http.Request, acting bool) {
	if !p.hub.join() {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer p.hub.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil { // it listens for as long as it is open
		return
	}
	has := map[string]string{}
	for {
		current, changed := p.hub.now(acting)
		message := news{p.build, map[string]string{}}
		for id, html := range current {
			if was, ok := has[id]; !ok || was != html {
				message.Sections[id] = html
			}
		}
		has = current
		if len(message.Sections) > 0 && send(w, control, message) != nil {
			return // it was closed
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

func send(w http.ResponseWriter, control *http.ResponseController, message news) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if err := control.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "data: %s\n\n", data); err != nil {
		return err
	}
	return control.Flush()
}
