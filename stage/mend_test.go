package stage

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/need"
)

func folderLayer(t *testing.T, name string) Tar {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}), w.Close()); err != nil {
		t.Fatal(err)
	}
	return source(b.Bytes())
}

// A damaged object goes together with the record that would have it taken for a
// layer that is there; what is intact, or runs, stays.
func TestRemoveDamaged(t *testing.T) {
	need.Programs(t, "tar2sqfs")
	for _, running := range []bool{false, true} {
		s := newStage(t)
		hurt, whole := folderLayer(t, "hurt/"), folderLayer(t, "whole/")
		var objects []deployment.Object
		for _, layer := range []Tar{hurt, whole} {
			o, err := s.AddLayer(t.Context(), layer)
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, o)
		}
		m := manifest(t, s)
		m.Layers = objects
		id := publish(t, s, m)
		if !running {
			id = "another"
		}
		if err := os.WriteFile(s.ObjectPath(objects[0]), bytes.Repeat([]byte("x"), int(objects[0].Size)), 0o600); err != nil {
			t.Fatal(err)
		}
		damage, err := s.Verify(t.Context(), nil)
		if err != nil || len(damage) != 1 {
			t.Fatalf("damage %v, %v", damage, err)
		}
		mended, err := s.RemoveDamaged(damage, id)
		if err != nil || len(mended) != 1 || mended[0] != (Mended{objects[0].Path(), running}) {
			t.Errorf("mended %v, %v", mended, err)
		}
		record, err := s.records().Read(hurt.DiffID)
		if err != nil || (record != nil) != running {
			t.Errorf("running %t: the record is %v, %v", running, record, err)
		}
		if _, err := os.Stat(s.ObjectPath(objects[0])); errors.Is(err, fs.ErrNotExist) == running {
			t.Errorf("running %t: the object: %v", running, err)
		}
		if got := staged(t, s, LayerID{DiffID: whole.DiffID}); got != objects[1] {
			t.Errorf("the other layer is %v", got)
		}
	}
}
