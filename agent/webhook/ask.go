package webhook

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// pace is how soon after a look hooks get another. What comes sooner gets one
// together.
const pace = 250 * time.Millisecond

// An asker asks for looks.
type asker struct {
	ask func(why string, update bool)

	mu     sync.Mutex
	last   time.Time
	coming bool
	update bool
}

func (a *asker) look(update bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.update = a.update || update
	if a.coming {
		return
	}
	if wait := pace - time.Since(a.last); wait > 0 && !a.last.IsZero() {
		a.coming = true
		time.AfterFunc(wait, a.come)
		return
	}
	a.now()
}

func (a *asker) come() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now()
}

func (a *asker) now() {
	update := a.update
	a.last, a.coming, a.update = time.Now(), false, false
	a.ask(Trigger, update)
}

// onlyReads says whether a registry tells of nothing but that something was
// read, or that a layer came whose manifest is to follow. Registries tell of
// reading, too, and a look reads: each would ask for the next. What is not
// understood asks for a look.
func onlyReads(body io.Reader) bool {
	var told struct {
		// Events are the distribution's, https://distribution.github.io/distribution/about/notifications/.
		Events []struct {
			Action string
			Target struct{ MediaType string }
		}
		Type string // Harbor's, and CloudEvents'
	}
	if json.NewDecoder(body).Decode(&told) != nil {
		return false
	}
	for _, e := range told.Events {
		if e.Action != "pull" && e.Target.MediaType != "application/octet-stream" {
			return false
		}
	}
	return len(told.Events) > 0 || told.Type == "PULL_ARTIFACT" || told.Type == "harbor.artifact.pulled"
}
