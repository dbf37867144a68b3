package fleetlock_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gitboot/gitboot/agent/fleetlock"
)

// A semaphore is a server of the protocol as its document describes one: groups of
// slots that their owners take and give back, each as often as they like.
type semaphore struct {
	mu    sync.Mutex
	slots map[string]int
	held  map[string]map[string]bool
}

func (s *semaphore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, kind, value string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"kind": kind, "value": value})
	}
	var body struct {
		Client struct{ ID, Group string } `json:"client_params"`
	}
	switch err := json.NewDecoder(r.Body).Decode(&body); {
	case r.Method != http.MethodPost || r.Header.Get("fleet-lock-protocol") != "true":
		refuse(http.StatusBadRequest, "bad_header", "this is no request of the protocol")
		return
	case err != nil || body.Client.ID == "" || body.Client.Group == "":
		refuse(http.StatusBadRequest, "bad_body", "id and group are needed")
		return
	case s.held[body.Client.Group] == nil:
		refuse(http.StatusNotFound, "unknown_group", "there is no group "+body.Client.Group)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	owners, id := s.held[body.Client.Group], body.Client.ID
	switch r.URL.Path {
	case "/locks/v1/pre-reboot":
		if !owners[id] && len(owners) >= s.slots[body.Client.Group] {
			refuse(http.StatusConflict, "failed_lock", "all slots are taken")
			return
		}
		owners[id] = true
	case "/locks/v1/steady-state":
		delete(owners, id)
	default:
		refuse(http.StatusNotFound, "no_such_path", r.URL.Path)
	}
}

func newSemaphore(groups map[string]int) *semaphore {
	s := &semaphore{slots: groups, held: map[string]map[string]bool{}}
	for name := range groups {
		s.held[name] = map[string]bool{}
	}
	return s
}

// Of a group of one slot, one machine restarts at a time, and may ask again.
func TestOneAfterTheOther(t *testing.T) {
	server := httptest.NewServer(newSemaphore(map[string]int{"default": 1, "lab.1": 1}))
	defer server.Close()
	of := func(id, group string) fleetlock.Options {
		return fleetlock.Options{URL: server.URL + "/locks/", ID: id, Group: group}
	}
	ctx, a, b := t.Context(), of("a", "default"), of("b", "default")
	for range 2 {
		if err := a.Lock(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := of("b", "lab.1").Lock(ctx); err != nil {
		t.Errorf("another group: %v", err)
	}
	err := b.Lock(ctx)
	if err == nil || !strings.Contains(err.Error(), "take a slot of the group default") || !strings.Contains(err.Error(), "all slots are taken") {
		t.Errorf("a second machine: %v", err)
	}
	if err := b.Unlock(ctx); err != nil {
		t.Errorf("what it does not hold: %v", err)
	}
	if err := b.Lock(ctx); err == nil {
		t.Error("a slot was given back by who does not hold it")
	}
	if err := a.Unlock(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Lock(ctx); err != nil {
		t.Errorf("a free slot: %v", err)
	}
	if err := of("c", "nobody").Lock(ctx); err == nil || !strings.Contains(err.Error(), "there is no group nobody") {
		t.Errorf("an unknown group: %v", err)
	}
}

// A server that is away, or speaks no TLS that is trusted, gives no leave.
func TestNoAnswerIsNoLeave(t *testing.T) {
	server := httptest.NewTLSServer(newSemaphore(map[string]int{"default": 1}))
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := fleetlock.Options{URL: server.URL, ID: "a", Group: "default", TokenFile: token}
	if err := o.Lock(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("an authority that nobody trusts: %v", err)
	}
	server.Close()
	if err := o.Lock(t.Context()); err == nil {
		t.Error("leave was given by nobody")
	}
}

func TestCheckGroup(t *testing.T) {
	for name, good := range map[string]bool{"default": true, "rack-1.lab": true, "": false, "a b": false, "ä": false, "a/b": false} {
		if err := fleetlock.CheckGroup(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
