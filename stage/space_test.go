package stage

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

// smallStage is a stage on a file system of its own, of the given size.
func smallStage(t *testing.T, size string) *Stage {
	t.Helper()
	need.Root(t)
	point := t.TempDir()
	if err := unix.Mount("tmpfs", point, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(point, 0); err != nil {
			t.Error(err)
		}
	})
	return create(t, filepath.Join(point, "stage"))
}

// noise is a layer that cannot be compressed.
func noise(t *testing.T, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(content)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(file("noise", int64(size))); err != nil {
		t.Fatal(err)
	}
	w.Write(content)
	w.Close()
	return b.Bytes()
}

func TestReserve(t *testing.T) {
	s := newStage(t)
	if err := s.HasRoom(1); err != nil {
		t.Error(err)
	}
	addFile(t, s, "garbage")
	err := s.HasRoom(1 << 60)
	var full *NoSpaceError
	if !errors.As(err, &full) || full.Need != 1<<60 || full.Free <= 0 || full.Collectable != 7 {
		t.Errorf("error %#v", err)
	}
}

func TestNoSpaceErrorSaysWhatToDo(t *testing.T) {
	err := &NoSpaceError{Dir: "/stage", Need: 3_500_000_000, Free: 1_000_000, Collectable: 2_000}
	want := "the stage /stage has too little space: 3.5 GB needed, 1.0 MB free, 3.5 GB missing; `gitboot stage gc` would free 2.0 kB"
	if err.Error() != want {
		t.Errorf("%q", err)
	}
	err.Collectable = 0
	if !strings.Contains(err.Error(), "nothing there is garbage") {
		t.Errorf("%q", err)
	}
}

// Of a write that has failed nobody may know what it wanted: no figure is made up.
func TestFull(t *testing.T) {
	s := smallStage(t, "4m")
	err := Full(s, fmt.Errorf("write: %w", syscall.ENOSPC))
	if text := err.Error(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(text, "had no room for a file, and has") || strings.Contains(text, "missing") {
		t.Error(err)
	}
	if err := Unwritable(s); err != nil {
		t.Error(err)
	}
	filler, err := os.Create(filepath.Join(s.Dir(), "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := Unwritable(s); err == nil || !strings.Contains(err.Error(), "has no space left; nothing there is garbage") {
		t.Errorf("%v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAddLayerOnAFullStage(t *testing.T) {
	needTar2sqfs(t)
	s := smallStage(t, "4m")
	addFile(t, s, "garbage")
	_, err := s.AddLayer(context.Background(), source(noise(t, 12<<20)))
	var full *NoSpaceError
	if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v", err)
	}
	if full.Need <= full.Free || full.Need > 40<<20 || full.Collectable != 7 {
		t.Errorf("%+v", full)
	}
	if left := append(files(t, s, "tmp"), files(t, s, "layers")...); left != nil {
		t.Errorf("left %v", left)
	}
	if _, err := s.AddLayer(context.Background(), source(noise(t, 2<<20))); err != nil {
		t.Errorf("a layer that fits afterwards: %v", err)
	}
}

func TestAddFileOnAFullStage(t *testing.T) {
	s := smallStage(t, "2m")
	_, err := s.AddFile(context.Background(), io.LimitReader(rand.NewChaCha8([32]byte{}), 4<<20))
	var full *NoSpaceError
	if !errors.As(err, &full) {
		t.Errorf("error %v", err)
	}
	if left := append(files(t, s, "tmp"), files(t, s, "objects/sha256")...); left != nil {
		t.Errorf("left %v", left)
	}
}
