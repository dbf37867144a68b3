package contents

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What is told of an object stays as long as the object, and no longer.
func TestContents(t *testing.T) {
	s, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	must(t, err)
	stays, err := s.AddFile(t.Context(), strings.NewReader("stays"))
	must(t, err)
	goes, err := s.AddFile(t.Context(), strings.NewReader("goes"))
	must(t, err)
	if table, err := Of(s, stays, Files); table != nil || err != nil || Known(s, stays, Blocks) {
		t.Errorf("%s %v", table, err)
	}
	_, err = s.Collect(t.Context(), true) // nothing was ever told
	must(t, err)
	for _, o := range []deployment.Object{stays, goes} {
		must(t, Put(s, o, Files, []byte("before")))
		must(t, Put(s, o, Files, []byte("table")))
		must(t, Put(s, o, Blocks, []byte("map")))
	}
	_, err = s.Publish(&deployment.Manifest{Version: deployment.Version, Image: "desktop", Kernel: stays, Initramfs: stays, KernelVersion: "6.1", Layers: []deployment.Object{stays}})
	must(t, err)
	_, err = s.Collect(t.Context(), true)
	must(t, err)
	if !Known(s, goes, Blocks) {
		t.Error("counting garbage has removed something")
	}
	_, err = s.Collect(t.Context(), false)
	must(t, err)
	if table, err := Of(s, stays, Files); string(table) != "table" || err != nil || !Known(s, stays, Blocks) {
		t.Errorf("%s %v", table, err)
	}
	if Known(s, goes, Blocks) || Known(s, goes, Files) {
		t.Error("what is told of an object that is gone is still there")
	}
}
