package stage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

func TestCreateAndOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "stage")
	if _, err := Open(dir); !errors.Is(err, ErrNone) {
		t.Errorf("open of nothing: %v", err)
	}
	s := create(t, dir)
	if _, err := Open(dir); err != nil {
		t.Error(err)
	}
	if again := create(t, dir); again.Dir() != s.Dir() {
		t.Errorf("created again at %s", again.Dir())
	}
	for _, name := range append(folders(), "") {
		info, err := os.Stat(s.path(name))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestCreateRefusesAForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir); err == nil || !strings.Contains(err.Error(), "letter.txt") {
		t.Errorf("error %v", err)
	}
}

// A stage of an older gitboot, or one from which a folder was lost, is opened as
// it is, and gets what it lacks.
func TestOpenAdopts(t *testing.T) {
	for _, lost := range append(folders(), "lock") {
		s := newStage(t)
		if err := os.WriteFile(s.StateFile(), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(s.path(lost)); err != nil {
			t.Fatal(err)
		}
		again, err := Open(s.Dir())
		if err != nil {
			t.Errorf("without %s: %v", lost, err)
			continue
		}
		if lacking, err := lacking(again.Layout); lacking != "" || err != nil {
			t.Errorf("it lacks %s still, %v", lacking, err)
		}
		if data, err := os.ReadFile(s.StateFile()); err != nil || string(data) != "{}" {
			t.Errorf("the state became %q, %v", data, err)
		}
	}
}

// While another run writes to it, a stage is not changed.
func TestOpenAdoptsUnderTheLock(t *testing.T) {
	s := newStage(t)
	lock, err := s.Lock(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.kernels()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.Dir()); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.Dir()); err != nil {
		t.Error(err)
	}
}

// All that gitboot puts into a stage is known to be its own: where the lock was
// lost, it is not taken for a stranger's folder.
func TestEverythingIsKnown(t *testing.T) {
	l := Layout(t.TempDir())
	for _, path := range []string{l.StateFile(), l.Repo(), l.Repo() + ".broken", l.Engine(), l.Builds(), l.Downloads(), l.Secrets(), l.Temp(), l.Workshop().Dir(), l.lockFile()} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := refuseForeign(l); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestCreateFinishesACutCreate(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "objects"), 0o700); err != nil {
		t.Fatal(err)
	}
	create(t, dir)
}

func TestCleanRemovesWhatACutLeft(t *testing.T) {
	s := newStage(t)
	id := publish(t, s, manifest(t, s, "layer"))
	for _, name := range []string{"tmp/x", "tmp/.gitboot-tmp-1", "layers/.gitboot-tmp-2", "deployments/.gitboot-tmp-3", ".gitboot-tmp-4"} {
		if err := os.WriteFile(s.path(name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Clean(); err != nil {
		t.Fatal(err)
	}
	for _, folder := range append(folders(), "") {
		for _, name := range files(t, s, folder) {
			if strings.HasPrefix(name, durable.TempPrefix) || folder == "tmp" {
				t.Errorf("left: %s/%s", folder, name)
			}
		}
	}
	if _, err := s.Deployment(id); err != nil {
		t.Error(err)
	}
}

// TestCleanRemovesWhatWasLeftBeside has files without their names in folders where others
// write at any time: what may get its name yet stays.
func TestCleanRemovesWhatWasLeftBeside(t *testing.T) {
	s := newStage(t)
	for _, folder := range beside() {
		if err := os.MkdirAll(s.path(folder), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, age := range map[string]time.Duration{"old": 48 * time.Hour, "ahead": -48 * time.Hour, "young": 0} {
			file := s.path(folder, durable.TempPrefix+name)
			when := time.Now().Add(-age)
			if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chtimes(file, when, when)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Clean(); err != nil {
		t.Fatal(err)
	}
	for _, folder := range beside() {
		left, err := filepath.Glob(s.path(folder, durable.TempPrefix+"*"))
		if err != nil || len(left) != 1 || filepath.Base(left[0]) != durable.TempPrefix+"young" {
			t.Errorf("%s: left are %v, %v", folder, left, err)
		}
	}
	file := s.path(BootTestsDir) // somebody's, in the place of a folder
	if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, nil, 0o600), s.Clean()); err != nil {
		t.Error(err)
	}
}

func TestPublish(t *testing.T) {
	s := newStage(t)
	m := manifest(t, s, "layer")
	id := publish(t, s, m)
	if again := publish(t, s, m); again != id {
		t.Errorf("published again as %s", again)
	}
	got, err := s.Deployment(id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got); diff != "" {
		t.Error(diff)
	}
	if ids, err := s.Deployments(); err != nil || len(ids) != 1 || ids[0] != id {
		t.Errorf("deployments %v, %v", ids, err)
	}
	for range 2 {
		if err := s.RemoveDeployment(id); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Deployment(id); !errors.Is(err, ErrNoDeployment) {
		t.Errorf("a removed deployment: %v", err)
	}
}

func TestPublishRefusesMissingObjects(t *testing.T) {
	s := newStage(t)
	m := manifest(t, s, "layer")
	m.Layers[0].Size++
	if _, err := s.Publish(m); err == nil || !strings.Contains(err.Error(), m.Layers[0].Path()) {
		t.Errorf("an object of another size: %v", err)
	}
	if err := os.Remove(s.ObjectPath(m.Kernel)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Publish(m); err == nil || !strings.Contains(err.Error(), m.Kernel.Path()) {
		t.Errorf("a missing kernel: %v", err)
	}
	if got := files(t, s, "deployments"); got != nil {
		t.Errorf("published %v", got)
	}
}

func TestKernelRecords(t *testing.T) {
	s := newStage(t)
	r := KernelRecord{Version: "6.1", Kernel: addFile(t, s, "kernel"), Initramfs: addFile(t, s, "initramfs")}
	if _, ok, err := s.Kernel("key"); ok || err != nil {
		t.Errorf("no record: %v, %v", ok, err)
	}
	if err := s.PutKernel("key", r); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := s.Kernel("key"); !ok || err != nil || got != r {
		t.Errorf("record %v, %v, %v", got, ok, err)
	}
	if err := s.PutKernel("../key", r); err == nil {
		t.Error("a key that is a path was taken")
	}
	if err := os.Remove(s.ObjectPath(r.Initramfs)); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := s.Kernel("key"); ok || err != nil {
		t.Errorf("a record whose initramfs is gone: %v, %v", ok, err)
	}
}

func TestCollect(t *testing.T) {
	s := newStage(t)
	ctx := context.Background()
	kept, gone := manifest(t, s, "shared", "kept"), manifest(t, s, "shared", "gone")
	other := addFile(t, s, "another initramfs")
	gone.Initramfs = other
	publish(t, s, kept)
	id := publish(t, s, gone)
	put := func(key string, m *deployment.Manifest) {
		if err := s.PutKernel(key, KernelRecord{Kernel: m.Kernel, Initramfs: m.Initramfs}); err != nil {
			t.Fatal(err)
		}
	}
	put("kept", kept)
	put("gone", gone)
	if c, err := s.Collect(ctx, false); err != nil || c != (Collected{}) {
		t.Errorf("collected %v, %v while all is needed", c, err)
	}
	if err := s.RemoveDeployment(id); err != nil {
		t.Fatal(err)
	}
	want := Collected{Objects: 2, Bytes: int64(len("gone") + len("another initramfs"))}
	for _, dry := range []bool{true, false} {
		if c, err := s.Collect(ctx, dry); err != nil || c != want {
			t.Errorf("collected %v, %v (dry %v)", c, err, dry)
		}
	}
	if lacking, err := Lacking(s, kept); err != nil || len(lacking) > 0 {
		t.Errorf("what is kept lacks %v, %v", lacking, err)
	}
	if _, ok, err := s.Kernel("kept"); !ok || err != nil {
		t.Errorf("the kept kernel record: %v, %v", ok, err)
	}
	if got := files(t, s, "kernels"); len(got) != 1 {
		t.Errorf("kernel records %v", got)
	}
}

func TestCollectTouchesNothingIfAManifestIsDamaged(t *testing.T) {
	s := newStage(t)
	id := publish(t, s, manifest(t, s, "layer"))
	if err := os.WriteFile(s.deployment(id), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := files(t, s, "objects/sha256")
	if _, err := s.Collect(context.Background(), false); err == nil || !strings.Contains(err.Error(), id) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(before, files(t, s, "objects/sha256")); diff != "" {
		t.Error(diff)
	}
}
