package stage

import (
	"archive/tar"
	"context"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/need"
)

func sources(layers [][]byte) (list []Tar) {
	for _, data := range layers {
		list = append(list, source(data))
	}
	return list
}

func ids(layers [][]byte) (list []LayerID) {
	for _, data := range layers {
		list = append(list, LayerID{DiffID: "sha256:" + digest(data)})
	}
	return list
}

func dir(name string, mode int64, uid int) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: uid}
}

func link(name, target string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}

// A hard link to what a lower layer has brings it: content, mode, owner and
// attributes.
func TestAHardLinkToALowerLayerBringsTheFile(t *testing.T) {
	need.Root(t)
	needTar2sqfs(t)
	s, unpacked := newStage(t), t.TempDir()
	layers := [][]byte{
		pack(t, step{script: "mkdir usr; head -c 300000 /dev/zero > usr/big; echo 1 > usr/f; chown 7:8 usr/f; chmod 4750 usr/f;" +
			"setfattr -n security.k -v x usr/f; ln -s f usr/s; mknod usr/z b 7 300; mkfifo usr/p; ln -s usr lib"}),
		smallTar(t, link("f", "usr/f"), link("f2", "usr/f"), link("big", "lib/big"), link("s", "usr/s"), link("z", "usr/z"), link("p", "usr/p")),
	}
	for _, data := range layers {
		unpack(t, unpacked, data, nil)
	}
	counts := regexp.MustCompile(`(?m)^\d+$`) // of a file's names, which differ
	var all []map[string]string
	for _, root := range []string{unpacked, mountLayers(t, s, layers)} {
		files := snapshot(t, root)
		for name, stat := range files {
			head, rest, _ := strings.Cut(stat, "\n")
			files[name] = head + counts.ReplaceAllString(rest, "")
		}
		all = append(all, files)
	}
	if diff := cmp.Diff(all[0], all[1]); diff != "" {
		t.Errorf("unpacked (-) and mounted (+):\n%s", diff)
	}
}

// bases are layers with and without a folder tmp, and what a layer without an
// entry for it shows above them.
func bases(t *testing.T) map[string][][]byte {
	return map[string][][]byte{
		"drwxrwxrwt 0/0":    {smallTar(t, dir("tmp", 0o1777, 0)), smallTar(t, dir("tmp", 0o1777, 0), file("other", 1))},
		"drwx------ 1000/0": {smallTar(t, dir("tmp", 0o700, 1000))},
		"drwxr-xr-x 0/0":    {smallTar(t, file("other", 2)), smallTar(t, &tar.Header{Typeflag: tar.TypeSymlink, Name: "tmp", Linkname: "nowhere"})},
	}
}

// A layer that takes something from below is right above each base, and one
// object above equal ones.
func TestALayerIsRightAboveEachBase(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	top := smallTar(t, file("tmp/a", 3))
	objects := make(map[string]deployment.Object)
	for want, list := range bases(t) {
		for _, base := range list {
			layers := [][]byte{base, top}
			if o := staged(t, s, ids(layers)...); o != (deployment.Object{}) {
				t.Errorf("above %q there is %v already", want, o)
			}
			got, err := s.AddLayers(t.Context(), sources(layers), 2)
			if err != nil {
				t.Fatal(err)
			}
			if old := objects[want]; old != (deployment.Object{}) && got[1] != old {
				t.Errorf("two objects above %q", want)
			}
			objects[want] = got[1]
			if listing := run(t, "unsquashfs", "-lln", s.ObjectPath(got[1]), "tmp"); !strings.Contains(listing, want) {
				t.Errorf("above %q:\n%s", want, listing)
			}
		}
	}
	for want, list := range bases(t) {
		if o := staged(t, s, ids([][]byte{list[0], top})...); o != objects[want] {
			t.Errorf("above %q the stage knows %v, not %v", want, o, objects[want])
		}
	}
}

// What nothing reaches any more is forgotten, and the rest is not.
func TestCollectForgetsWhatALayerBecameElsewhere(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	top := smallTar(t, file("tmp/a", 3))
	m := manifest(t, s)
	var all [][][]byte
	for _, list := range bases(t) {
		all = append(all, [][]byte{list[0], top})
	}
	for i, layers := range all {
		objects, err := s.AddLayers(t.Context(), sources(layers), 2)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			m.Layers = objects
		}
	}
	publish(t, s, m)
	if _, err := s.Collect(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	for i, layers := range all {
		if o := staged(t, s, ids(layers)...); (o == m.Layers[1]) != (i == 0) {
			t.Errorf("above base %d there is %v", i, o)
		}
	}
	record, err := os.ReadFile(s.path("layers", digest(top)+".json"))
	if n := strings.Count(string(record), `"sha256"`); err != nil || n != 1 {
		t.Errorf("the record names %d objects (%v): %s", n, err, record)
	}
}

// A layer that has all that it names waits for none below it.
func TestOnlyALayerThatLacksSomethingWaits(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	list := sources([][]byte{smallTar(t, file("a", 1)), smallTar(t, dir("tmp", 0o1777, 0), file("tmp/b", 1))})
	above := make(chan struct{})
	list[1].Readable = func(string) { close(above) }
	open := list[0].Open
	list[0].Open = func(ctx context.Context) (io.ReadCloser, error) {
		select {
		case <-above:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return open(ctx)
	}
	if _, err := s.AddLayers(t.Context(), list, 2); err != nil {
		t.Error(err)
	}
}

// The same layer twice in one image, and in images that are added side by side
// in another order: nobody waits for whom waits for him.
func TestLayersThatLackSomethingDoNotWaitInACircle(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	a, b := smallTar(t, file("x/a", 1)), smallTar(t, file("y/b", 1))
	results := make(chan error, 2)
	for _, layers := range [][][]byte{{a, a, b, b}, {b, b, a, a}} {
		go func() {
			_, err := s.AddLayers(t.Context(), sources(layers), 2)
			results <- err
		}()
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// A mark that hides all of what is below says nothing where nothing is.
func TestALayerThatHidesTheRoot(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	layers := [][]byte{smallTar(t, file(".wh..wh..opq", 0), file("a", 1))}
	if _, err := s.AddLayers(t.Context(), sources(layers), 1); err != nil {
		t.Error(err)
	}
	layers = append([][]byte{smallTar(t, file("b", 1))}, layers...)
	if _, err := s.AddLayers(t.Context(), sources(layers), 1); err == nil || !strings.Contains(err.Error(), "hides the whole root") {
		t.Errorf("above another layer: %v", err)
	}
}

// A stage of a gitboot that knew no lacks keeps all layers but those that are
// not what they should be.
func TestOldRecordsAreGoodWhereTheyAreRight(t *testing.T) {
	needTar2sqfs(t)
	for name, c := range map[string]struct {
		base, top []byte
		keeps     bool
	}{
		"all entries are there":    {smallTar(t, dir("tmp", 0o1777, 0)), smallTar(t, dir("tmp", 0o1777, 0), file("tmp/a", 1)), true},
		"the folder is new":        {smallTar(t, file("b", 1)), smallTar(t, file("tmp/a", 1)), true},
		"the folder is as it was":  {smallTar(t, dir("tmp", 0o755, 0)), smallTar(t, file("tmp/a", 1)), true},
		"the folder was different": {smallTar(t, dir("tmp", 0o1777, 0)), smallTar(t, file("tmp/a", 1)), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			layers := [][]byte{c.base, c.top}
			var old []deployment.Object
			for _, data := range layers { // each by itself, as they were once
				o, err := s.AddLayer(t.Context(), source(data))
				if err != nil {
					t.Fatal(err)
				}
				old = append(old, o)
				makeOldRecord(t, s, data)
			}
			if o := staged(t, s, ids(layers)...); (o == old[1]) != c.keeps {
				t.Errorf("the stage knows %v, was %v", o, old[1])
			}
			got, err := s.AddLayers(t.Context(), sources(layers), 2)
			if err != nil || got[0] != old[0] || (got[1] == old[1]) != c.keeps {
				t.Errorf("%v become %v, %v", old, got, err)
			}
			if o := staged(t, s, ids(layers)...); o != got[1] {
				t.Errorf("then the stage knows %v, not %v", o, got[1])
			}
		})
	}
}

// makeOldRecord writes a record as it was before lacks.
func makeOldRecord(t *testing.T, s *Stage, data []byte) {
	t.Helper()
	path := s.path("layers", digest(data)+".json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	delete(r, "lacks")
	r["rewriter"] = 1
	if raw, err = json.Marshal(r); err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
