package machine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/reconciler/state"
)

// What is remembered of a file is taken for its checksum as long as it is that file,
// and no longer.
func TestSummed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "gitboot-init")
	write := func(content string) {
		t.Helper()
		next := name + ".new"
		if err := os.WriteFile(next, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, name); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	first, err := summed(name, state.Summed{})
	if err != nil || first.Sum == "" || first.Stamp == "" {
		t.Fatalf("%+v, %v", first, err)
	}
	known := state.Summed{Stamp: first.Stamp, Sum: "remembered"}
	if now, err := summed(name, known); now != known || err != nil {
		t.Errorf("of the same file it is %+v, %v", now, err)
	}
	write("two") // as long, and within the same tick of a clock perhaps
	now, err := summed(name, known)
	if err != nil || now.Stamp == first.Stamp || now.Sum == first.Sum || now.Sum == "remembered" {
		t.Errorf("of another file it is %+v, %v", now, err)
	}
	if _, err := summed(name+".none", known); !os.IsNotExist(err) {
		t.Errorf("without a file: %v", err)
	}
}
