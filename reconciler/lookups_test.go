package reconciler

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// until waits for something, as long as ctx lasts.
func until(ctx context.Context, what func() bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !what() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// asking asks for one look after another.
func asking(ctx context.Context) <-chan Ask {
	asks := make(chan Ask)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case asks <- Ask{Trigger: "poll"}:
			}
		}
	}()
	return asks
}

// An archive whose server sends its end only when the other image is in the menu:
// within one run, and in a polling one that ends before.
func TestASlowArchiveHoldsUpNoOther(t *testing.T) {
	for what, run := range map[string]func(*testing.T, *site){
		"run": func(t *testing.T, s *site) {
			result, err := s.Run(t.Context(), Request{})
			if err = errors.Join(err, result.Err()); err != nil || len(result.Plan.Stagings) != 2 || !result.Changed {
				t.Errorf("staged %v: %v", result.Plan.Stagings, err)
			}
		},
		"poll": func(t *testing.T, s *site) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := make(chan struct{})
			go func() { s.Follow(ctx, asking(ctx), Watch{}); close(ended) }()
			until(ctx, func() bool { return strings.Contains(menuOf(s), "late") })
			stop()
			<-ended
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t, "")
			s.Machine.Turn = 10 * time.Millisecond
			root, err := os.ReadFile(filepath.Join(s.repo.Dir, "root.tar"))
			if err != nil {
				t.Fatal(err)
			}
			early := ""
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(root[:len(root)/2])
				w.(http.Flusher).Flush()
				until(r.Context(), func() bool { early = menuOf(s); return strings.Contains(early, "quick") })
				_, _ = w.Write(root[len(root)/2:])
			}))
			defer server.Close()
			s.commit(t, fmt.Sprintf(`
[machine.laptop]
images = ["late", "quick"]
[image.quick]
archive = "./root.tar"
[image.late]
archive = "%s/root.tar"
sha256 = "%x"
`, server.URL, sha256.Sum256(root)))
			run(t, s)
			if menu := menuOf(s); strings.Contains(early, "late") || !strings.Contains(menu, "late") || !strings.Contains(menu, "quick") {
				t.Errorf("the menu was %s, and became %s", early, menu)
			}
			if failed := s.state(t).Images["late"].Failure; failed != nil {
				t.Errorf("failure %v", failed)
			}
		})
	}
}

func menuOf(s *site) string {
	menu, _ := os.ReadFile(filepath.Join(s.Machine.Stage.Dir(), "boot/gitboot.cfg"))
	return string(bytes.TrimSpace(menu))
}
