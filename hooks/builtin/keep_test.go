package builtin

import (
	"log/slog"
	"os"
	"sync"
	"testing"
)

// TestMachineIDOnce generates from many sides at once: all get the same.
func TestMachineIDOnce(t *testing.T) {
	dir := t.TempDir()
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			r := &Target{StateDir: dir, Log: slog.New(slog.DiscardHandler)}
			data, err := keep(r, "machine-id", newMachineID)
			if err != nil {
				t.Error(err)
			}
			ids[i] = string(data)
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Fatalf("ids are %q", ids)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("state has %v, %v", left, err)
	}
}
