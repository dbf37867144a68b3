package damage

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/need"
	"github.com/gitboot/gitboot/tests/staged"
)

func folderLayer(t *testing.T, name string) stage.Tar {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}), w.Close()); err != nil {
		t.Fatal(err)
	}
	return stage.Tar{
		DiffID: "sha256:" + digest(b.Bytes()), Name: "test", Size: int64(b.Len()),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
	}
}

// A damaged object goes together with the record that would have it taken for a
// layer that is there; what is intact, or runs, stays.
func TestRemove(t *testing.T) {
	need.Programs(t, "tar2sqfs")
	for _, running := range []bool{false, true} {
		s := staged.New(t)
		hurt, whole := folderLayer(t, "hurt/"), folderLayer(t, "whole/")
		var objects []deployment.Object
		for _, layer := range []stage.Tar{hurt, whole} {
			o, err := s.AddLayer(t.Context(), layer)
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, o)
		}
		m := staged.Manifest(t, s)
		m.Layers = objects
		id := staged.Publish(t, s, m)
		if !running {
			id = "another"
		}
		if err := os.WriteFile(s.ObjectPath(objects[0]), bytes.Repeat([]byte("x"), int(objects[0].Size)), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := Find(t.Context(), s, 0, nil)
		if err != nil || len(found) != 1 {
			t.Fatalf("found %v, %v", found, err)
		}
		mended, err := Remove(s, found, id)
		if err != nil || len(mended) != 1 || mended[0] != (Mended{objects[0].Path(), running}) {
			t.Errorf("mended %v, %v", mended, err)
		}
		record := filepath.Join(s.Dir(), "layers", strings.TrimPrefix(hurt.DiffID, "sha256:")+".json")
		if _, err := os.Stat(record); errors.Is(err, fs.ErrNotExist) == running {
			t.Errorf("running %t: the record: %v", running, err)
		}
		if _, err := os.Stat(s.ObjectPath(objects[0])); errors.Is(err, fs.ErrNotExist) == running {
			t.Errorf("running %t: the object: %v", running, err)
		}
		if got, err := s.Layers([]stage.LayerID{{DiffID: whole.DiffID}}); err != nil || got[0] != objects[1] {
			t.Errorf("the other layer is %v (%v)", got, err)
		}
	}
}

// What is known to be damaged is treated as not there and keeps its place, until
// another takes it in one rename; the damaged one is in quarantine from then on.
func TestMark(t *testing.T) {
	s := staged.New(t)
	m := staged.Manifest(t, s, "a layer", "another")
	if _, err := s.Publish(m); err != nil {
		t.Fatal(err)
	}
	o := m.Layers[0]
	running, err := os.Open(s.ObjectPath(o))
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	if err := os.WriteFile(s.ObjectPath(o), []byte("A layer"), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := Find(t.Context(), s, 0, nil)
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	for _, want := range []int{1, 0} {
		if n, err := Mark(s, found); err != nil || n != want {
			t.Errorf("%d are noted anew (%v), want %d", n, err, want)
		}
	}
	if lacking, err := stage.Lacking(s, m); err != nil || len(lacking) != 1 || lacking[0] != o {
		t.Errorf("lacking %v (%v)", lacking, err)
	}
	if data, err := os.ReadFile(s.ObjectPath(o)); err != nil || string(data) != "A layer" {
		t.Errorf("the damaged object was touched: %q, %v", data, err)
	}

	if got := staged.File(t, s, "a layer"); got != o || s.Damaged(o) {
		t.Errorf("%+v took its place, damaged: %t", got, s.Damaged(o))
	}
	if found, err := Find(t.Context(), s, 0, nil); err != nil || len(found) > 0 {
		t.Error(found, err)
	}
	aside, err := Quarantined(s)
	if err != nil || aside.Objects != 1 {
		t.Errorf("in quarantine: %+v %v", aside, err)
	}
	info, err := running.Stat()
	if err != nil || info.Sys().(*syscall.Stat_t).Nlink != 1 {
		t.Errorf("what is running was unlinked (%v)", err)
	}
	ids, err := s.Deployments()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Release(s, ids[0]); err != nil || c.Objects != 0 {
		t.Errorf("%+v is released, of what is running (%v)", c, err)
	}
	if c, err := Release(s, ""); err != nil || c != aside {
		t.Errorf("%+v is released (%v)", c, err)
	}
}

// What can be read again is not damaged any more; a manifest is not an object.
func TestMarkForgets(t *testing.T) {
	s := staged.New(t)
	o := staged.File(t, s, "x")
	if n, err := Mark(s, []Found{{Path: o.Path()}, {Path: "deployments/" + o.SHA256 + ".json"}, {Path: "objects/sha256/rubbish"}}); n != 1 || err != nil {
		t.Error(n, err)
	}
	if _, err := Mark(s, nil); err != nil || s.Damaged(o) {
		t.Error("it is damaged for ever", err)
	}
	if _, err := Release(s, strings.Repeat("0", 64)); err == nil {
		t.Error("what runs is not known, and the quarantine is emptied")
	}
}

// A disk that gives errors instead of content is what verifying is for.
func TestFindUnreadable(t *testing.T) {
	s := staged.New(t)
	m := staged.Manifest(t, s, "a layer")
	id, err := s.Publish(m)
	if err != nil {
		t.Fatal(err)
	}
	path := s.ObjectPath(m.Layers[0])
	if err := errors.Join(os.Remove(path), os.Symlink("/proc/self/mem", path)); err != nil { // reading its beginning is EIO
		t.Fatal(err)
	}
	found, err := Find(t.Context(), s, 100<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprint(found)
	if !strings.Contains(said, "cannot be read: ") || !strings.Contains(said, "input/output error") || !strings.Contains(said, id) {
		t.Error(said)
	}
}
