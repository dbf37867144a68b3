package trees

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/damage"
	"github.com/gitboot/gitboot/stage/internal/record"
	"github.com/gitboot/gitboot/tests/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// staged makes a stage with a layer of some megabytes.
func staged(t *testing.T) (*stage.Stage, deployment.Object) {
	t.Helper()
	need.Programs(t, "tar2sqfs", "veritysetup")
	s, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	must(t, err)
	content := make([]byte, 3<<20+77)
	_, err = rand.NewChaCha8([32]byte{3}).Read(content)
	must(t, err)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	must(t, w.WriteHeader(&tar.Header{Name: "data", Mode: 0o644, Size: int64(len(content))}))
	_, err = w.Write(content)
	must(t, err)
	must(t, w.Close())
	o, err := s.AddLayer(t.Context(), stage.Tar{
		DiffID: fmt.Sprintf("sha256:%x", sha256.Sum256(layer.Bytes())), Name: "test", Size: int64(layer.Len()),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(&layer), nil },
	})
	must(t, err)
	return s, o
}

// publish makes a deployment of a layer, verified if there is a tree.
func publish(t *testing.T, s *stage.Stage, layer deployment.Object, tree ...deployment.Tree) string {
	t.Helper()
	kernel, err := s.AddFile(t.Context(), strings.NewReader("kernel"))
	must(t, err)
	m := &deployment.Manifest{Version: deployment.Version, Image: "desktop", Kernel: kernel, Initramfs: kernel, KernelVersion: "6.1", Layers: []deployment.Object{layer}}
	if tree != nil {
		m.Verity = &deployment.Verity{Mode: deployment.VerityReport, Trees: tree}
	}
	id, err := s.Publish(m)
	must(t, err)
	return id
}

// A layer that was staged before gets its tree when somebody wants it, and once:
// veritysetup verifies the layer by it. It stays for as long as a deployment names
// it, and the layer stays without it.
func TestOf(t *testing.T) {
	s, layer := staged(t)
	plain := publish(t, s, layer)
	missing := Missing(s, []deployment.Object{layer})
	tree, err := Of(t.Context(), s, layer)
	must(t, err)
	if tree.Size != missing || Missing(s, []deployment.Object{layer}) != 0 || layer.Size%4096 != 0 {
		t.Errorf("the tree has %d bytes, %d were said to be missing; the layer has %d", tree.Size, missing, layer.Size)
	}
	out, err := exec.Command("veritysetup", "verify", s.ObjectPath(layer), s.ObjectPath(tree.Object), tree.Root).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	made := modified(t, s.ObjectPath(tree.Object))
	if again, err := Of(t.Context(), s, layer); err != nil || again != tree || modified(t, s.ObjectPath(tree.Object)) != made {
		t.Errorf("made again: %+v %v", again, err)
	}

	verified := publish(t, s, layer, tree)
	collect(t, s)
	if Missing(s, []deployment.Object{layer}) != 0 {
		t.Error("a tree that is named was collected")
	}
	must(t, s.RemoveDeployment(verified))
	collect(t, s)
	if _, err := os.Stat(s.ObjectPath(tree.Object)); err == nil || Missing(s, []deployment.Object{layer}) == 0 {
		t.Error("a tree that nothing names stays")
	}
	if _, err := os.Stat(s.ObjectPath(layer)); err != nil || plain == verified {
		t.Error(err)
	}
}

func modified(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.ModTime().UnixNano()
}

func collect(t *testing.T, s *stage.Stage) {
	t.Helper()
	_, err := s.Collect(t.Context(), false)
	must(t, err)
}

// What is remembered is believed no further than it is there.
func TestLost(t *testing.T) {
	s, layer := staged(t)
	tree, err := Of(t.Context(), s, layer)
	must(t, err)
	noted := filepath.Join(record.Trees(s.Dir()), layer.SHA256+".json")
	for what, lose := range map[string]func() error{
		"the tree":        func() error { return os.Remove(s.ObjectPath(tree.Object)) },
		"half of it":      func() error { return os.Truncate(s.ObjectPath(tree.Object), tree.Size/2) },
		"the record":      func() error { return os.Remove(noted) },
		"what it says":    func() error { return os.WriteFile(noted, []byte("{"), 0o600) },
		"what it says of": func() error { return os.WriteFile(noted, []byte(`{"layer":{},"tree":{}}`), 0o600) },
		"all records":     func() error { return os.RemoveAll(record.Trees(s.Dir())) },
	} {
		must(t, lose())
		again, err := Of(t.Context(), s, layer)
		if err != nil || again != tree {
			t.Errorf("%s: %+v %v", what, again, err)
		}
		if found, err := damage.Find(t.Context(), s, 0, nil); err != nil || len(found) > 0 {
			t.Errorf("%s: %v %v", what, found, err)
		}
	}
}

// No tree is made of a layer that is not what it was: it would be vouched for.
func TestDamaged(t *testing.T) {
	s, layer := staged(t)
	data, err := os.ReadFile(s.ObjectPath(layer))
	must(t, err)
	data[len(data)/2] ^= 1
	must(t, os.WriteFile(s.ObjectPath(layer), data, 0o600))
	if tree, err := Of(t.Context(), s, layer); err == nil || !strings.Contains(err.Error(), "stage verify") {
		t.Errorf("%+v %v", tree, err)
	}
	if left, err := os.ReadDir(s.Temp()); err != nil || len(left) > 0 {
		t.Errorf("%v stays behind (%v)", left, err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := Of(ended, s, layer); err == nil {
		t.Error("a tree is made after the end")
	}
}
