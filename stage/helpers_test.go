package stage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/need"
)

// needTar2sqfs is for a test in which layers are packed and looked into.
func needTar2sqfs(t *testing.T) {
	t.Helper()
	need.Programs(t, "tar2sqfs", "unsquashfs")
}

func create(t *testing.T, dir string) *Stage {
	t.Helper()
	s, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newStage(t *testing.T) *Stage {
	t.Helper()
	return create(t, filepath.Join(t.TempDir(), "stage"))
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// source makes a layer of a tar in memory.
func source(data []byte) Tar {
	return Tar{
		DiffID: "sha256:" + digest(data), Name: "test", Size: int64(len(data)),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}
}

func addFile(t *testing.T, s *Stage, content string) deployment.Object {
	t.Helper()
	o, err := s.AddFile(context.Background(), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// manifest makes a deployment of objects that hold the given words.
func manifest(t *testing.T, s *Stage, words ...string) *deployment.Manifest {
	t.Helper()
	m := &deployment.Manifest{
		Version: deployment.Version, Image: "test", KernelVersion: "6.1",
		Kernel: addFile(t, s, "kernel"), Initramfs: addFile(t, s, "initramfs"),
	}
	for _, word := range words {
		m.Layers = append(m.Layers, addFile(t, s, word))
	}
	return m
}

func publish(t *testing.T, s *Stage, m *deployment.Manifest) string {
	t.Helper()
	id, err := s.Publish(m)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// files lists what is below a folder of the stage.
func files(t *testing.T, s *Stage, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(s.path(folder))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// staged returns what the highest of some layers became, as it lies there.
func staged(t *testing.T, s *Stage, ids ...LayerID) deployment.Object {
	t.Helper()
	objects, err := s.Layers(ids)
	if err != nil {
		t.Fatal(err)
	}
	return objects[len(objects)-1]
}
