package stage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
		if lacking, err := again.lacking(); lacking != "" || err != nil {
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
		if err := l.refuseForeign(); err != nil {
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
	if _, ok, err := s.Kernel("kept"); !ok || err != nil {
		t.Errorf("the kept kernel record: %v, %v", ok, err)
	}
	if got := files(t, s, "kernels"); len(got) != 1 {
		t.Errorf("kernel records %v", got)
	}
	if damage, err := s.Verify(ctx, nil); err != nil || len(damage) > 0 {
		t.Errorf("damage %v, %v", damage, err)
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

func TestVerify(t *testing.T) {
	s := newStage(t)
	m := manifest(t, s, "one", "two", "three", "four")
	id := publish(t, s, m)
	if damage, err := s.Verify(context.Background(), nil); err != nil || len(damage) > 0 {
		t.Fatalf("damage %v, %v", damage, err)
	}
	flip := func(o deployment.Object, content string) {
		if err := os.WriteFile(s.ObjectPath(o), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flip(m.Layers[0], "One")
	flip(m.Layers[1], "tw")
	if err := os.Remove(s.ObjectPath(m.Layers[2])); err != nil {
		t.Fatal(err)
	}
	damage, err := s.Verify(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, d := range damage {
		found[d.Path] += d.What + "; "
		if len(d.Deployments) != 1 || d.Deployments[0] != id || d.Remedy == "" {
			t.Errorf("%s: deployments %v, remedy %q", d.Path, d.Deployments, d.Remedy)
		}
	}
	for i, want := range []string{"the content has the sha256 " + digest([]byte("One")), "2 bytes long instead of 3", "missing"} {
		if got := found[m.Layers[i].Path()]; !strings.Contains(got, want) {
			t.Errorf("layer %d: %q, want %q", i, got, want)
		}
	}
	if len(found) != 3 {
		t.Errorf("found %v", found)
	}
}

func TestVerifyFindsDamagedManifests(t *testing.T) {
	s := newStage(t)
	id := publish(t, s, manifest(t, s, "layer"))
	if err := os.WriteFile(s.deployment(id), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	damage, err := s.Verify(context.Background(), nil)
	if err != nil || len(damage) != 1 || damage[0].Path != "deployments/"+id+".json" {
		t.Errorf("damage %v, %v", damage, err)
	}
}

func TestExportAndImport(t *testing.T) {
	ctx := context.Background()
	from, to := newStage(t), newStage(t)
	m := manifest(t, from, "one", "two")
	id := publish(t, from, m)
	var carried, again bytes.Buffer
	for _, w := range []*bytes.Buffer{&carried, &again} {
		if err := from.Export(ctx, id, w, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(carried.Bytes(), again.Bytes()) {
		t.Error("two exports differ")
	}
	addFile(t, to, "one")
	got, err := to.Import(ctx, bytes.NewReader(carried.Bytes()), anything, nil)
	if err != nil || got != id {
		t.Fatalf("imported %s, %v", got, err)
	}
	if damage, err := to.Verify(ctx, nil); err != nil || len(damage) > 0 {
		t.Errorf("damage %v, %v", damage, err)
	}
}

func anything(string, *deployment.Manifest) error { return nil }

// What is refused for what its manifest says is not read any further.
func TestImportKeepsNothingOfWhatIsRefused(t *testing.T) {
	from, to := newStage(t), newStage(t)
	var carried bytes.Buffer
	if err := from.Export(context.Background(), publish(t, from, manifest(t, from, "one")), &carried, nil); err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("no")
	_, err := to.Import(context.Background(), &carried, func(string, *deployment.Manifest) error { return refusal }, nil)
	if !errors.Is(err, refusal) {
		t.Errorf("import: %v", err)
	}
	if got := slices.Concat(files(t, to, "deployments"), files(t, to, "objects/sha256")); got != nil {
		t.Errorf("left %v", got)
	}
}

func TestImportRefuses(t *testing.T) {
	ctx := context.Background()
	from := newStage(t)
	m := manifest(t, from, "one", "two")
	var carried bytes.Buffer
	if err := from.Export(ctx, publish(t, from, m), &carried, nil); err != nil {
		t.Fatal(err)
	}
	good := carried.Bytes()
	for name, data := range map[string][]byte{
		"nothing":          nil,
		"a cut file":       good[:len(good)-3000],
		"a flipped layer":  bytes.Replace(good, []byte("two\x00"), []byte("tWo\x00"), 1),
		"a flipped kernel": bytes.Replace(good, []byte("kernel\x00"), []byte("kErnel\x00"), 1),
		"another manifest": bytes.Replace(good, []byte(`"6.1"`), []byte(`"6.2"`), 1),
		"no tar":           bytes.Repeat([]byte("x"), 4096),
	} {
		t.Run(name, func(t *testing.T) {
			to := newStage(t)
			if id, err := to.Import(ctx, bytes.NewReader(data), anything, nil); err == nil {
				t.Errorf("imported %s", id)
			}
			if got := slices.Concat(files(t, to, "deployments"), files(t, to, "tmp"), files(t, to, "objects/sha256")); got != nil {
				t.Errorf("left %v", got)
			}
		})
	}
}

func TestExportFindsDamage(t *testing.T) {
	s := newStage(t)
	m := manifest(t, s, "one")
	id := publish(t, s, m)
	if err := os.WriteFile(s.ObjectPath(m.Layers[0]), []byte("One"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Export(context.Background(), id, &bytes.Buffer{}, nil); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("error %v", err)
	}
}
