package machine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/lab"
)

// contents are all files below a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir)] = string(data)
		return err
	}))
	return all
}

// What is rehearsed is on the stage, whole, for as long as it is taken from there.
// However that ends, all is as it was: the state, the menu, and what else is staged.
func TestRehearse(t *testing.T) {
	h := newHouse(t)
	h.Find.Options.CacheDir = h.Stage.Downloads()
	h.run(t, "1", oneImage)
	root := t.TempDir()
	must(t, lab.FakeKernel(root, "6.2.0-test", true))
	h.archive(t, "other.tar", root)
	url, sum := h.serve(t, "other.tar")
	w := h.wants(t, "2", strings.Replace(oneImage, `archive = "./plain.tar"`, `archive = "`+url+`"`+"\nsha256 = \""+sum+`"`, 1))
	before := map[string]map[string]string{h.Stage.Dir(): contents(t, h.Stage.Dir()), h.Book.Folder: contents(t, h.Book.Folder)}
	unplugged, failed := errors.New("unplugged"), errors.New("no room for a disk")

	cut := filepath.Join(t.TempDir(), "stage")
	for what, c := range map[string]struct {
		prepare func(context.CancelCauseFunc) error
		want    error
	}{
		"well": {func(context.CancelCauseFunc) error {
			_, err := lab.Run(t.Context(), "cp", "-a", h.Stage.Dir(), cut)
			return err
		}, nil},
		"failed":   {func(context.CancelCauseFunc) error { return failed }, failed},
		"canceled": {func(cancel context.CancelCauseFunc) error { cancel(unplugged); return unplugged }, context.Canceled},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		prepared := false
		tried, err := Bench{h.Machine}.Rehearse(ctx, w, w.Wants.Images[0], "new", false, func(m *deployment.Manifest) error {
			prepared = true
			for _, o := range m.Objects() {
				if info, err := os.Stat(h.Stage.ObjectPath(o)); err != nil || info.Size() != o.Size {
					t.Errorf("%s: %s: %v", what, o.Path(), err)
				}
			}
			return c.prepare(cancel)
		})
		if cancel(nil); !prepared || !errors.Is(err, c.want) || err == nil && (tried.Image != w.Wants.Images[0].Name || !deployment.IsHash(tried.Deployment)) {
			t.Errorf("%s: %+v, %v", what, tried, err)
		}
		for dir, was := range before {
			if diff := cmp.Diff(was, contents(t, dir)); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
	}

	// What one leaves that is killed goes with the next run.
	left := *h.Machine
	var err error
	left.Stage, err = stage.Open(cut)
	must(t, err)
	left.Book.Stage, left.Book.Place, left.Find.Options.CacheDir = left.Stage, cut, left.Stage.Downloads()
	h.now = h.now.Add(time.Hour)
	result, err := left.Run(t.Context(), h.wants(t, "1", oneImage), Request{}, nil)
	must(t, err)
	now := contents(t, cut)
	for name, was := range before[h.Stage.Dir()] {
		if now[name] != was && !strings.HasPrefix(name, "/state.json") && name != "/manifests" { // that has which files were read
			t.Errorf("%s is otherwise", name)
		}
		delete(now, name)
	}
	for name := range now {
		if !strings.HasPrefix(name, "/runs/") {
			t.Errorf("%s is left: %+v", name, result.Plan)
		}
	}
}
