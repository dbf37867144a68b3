package rescue_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/rescue"
)

// The host key is the entry's own, else the one on the stage, which may come later; one
// that nobody could use is told, as is a stage that does not come.
func TestHostKey(t *testing.T) {
	dir := t.TempDir()
	own, staged := filepath.Join(dir, "own"), filepath.Join(dir, "staged")
	var said strings.Builder
	log := slog.New(slog.NewTextHandler(&said, nil))
	get := func(within time.Duration) []byte {
		t.Helper()
		key, err := rescue.HostKey(t.Context(), log, own, staged, within)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	if key := get(50 * time.Millisecond); key != nil || !strings.Contains(said.String(), "the stage, with the host key, is not there") {
		t.Errorf("without any: %q, %s", key, said.String())
	}
	keygen(t, filepath.Join(dir, "made"))
	made, err := os.ReadFile(filepath.Join(dir, "made"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte)
	go func() { got <- get(time.Minute) }()
	if err := os.Rename(filepath.Join(dir, "made"), staged); err != nil {
		t.Fatal(err)
	}
	if key := <-got; string(key) != string(made) {
		t.Errorf("from the stage: %q", key)
	}
	if err := os.WriteFile(staged, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if key := get(time.Minute); key != nil || !strings.Contains(said.String(), "is damaged") {
		t.Errorf("a damaged one: %q, %s", key, said.String())
	}
	if err := os.WriteFile(own, made, 0o600); err != nil {
		t.Fatal(err)
	}
	if key := get(time.Minute); string(key) != string(made) {
		t.Errorf("the entry's own: %q", key)
	}
}
