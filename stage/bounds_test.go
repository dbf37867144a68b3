package stage

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// flood is a layer of n entries, each named by its number.
func flood(n int, name func(int) string) Tar {
	return Tar{DiffID: "sha256:" + strings.Repeat("0", 64), Blob: "sha256:" + strings.Repeat("1", 64), Open: func(ctx context.Context) (io.ReadCloser, error) {
		r, w := io.Pipe()
		context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
		go func() {
			out := tar.NewWriter(w)
			for i := range n {
				if out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name(i), Mode: 0o644}) != nil {
					return
				}
			}
			w.CloseWithError(out.Close())
		}()
		return r, nil
	}}
}

// Names cost memory, and tar2sqfs time that grows with the square of a folder's.
func TestLayersOfTooManyNames(t *testing.T) {
	needTar2sqfs(t)
	for what, c := range map[string]struct {
		source  Tar
		entries int
		words   string
	}{
		"in one folder": {flood(1_500_000, func(i int) string { return fmt.Sprint("var/x", i) }), 0, "more than 50000 names"},
		"in all":        {flood(3000, func(i int) string { return fmt.Sprintf("%d/x%d", i/20, i) }), 2000, "more than 2000 entries"},
		"deep":          {flood(1, func(int) string { return strings.Repeat("d/", 300) + "x" }), 0, "256 folders deep"},
	} {
		t.Run(what, func(t *testing.T) {
			s := newStage(t)
			s.Entries = c.entries
			_, err := s.AddLayer(t.Context(), c.source)
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v, want %q", err, c.words)
			}
			if left := append(files(t, s, "tmp"), files(t, s, "layers")...); left != nil {
				t.Errorf("left %v", left)
			}
		})
	}
}

// Of holes, a layer has as many as it likes in no bytes at all.
func TestHolesAreBounded(t *testing.T) {
	needTar2sqfs(t)
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := errors.Join(os.WriteFile(dir+"/"+name, nil, 0o644), os.Truncate(dir+"/"+name, 4e6)); err != nil {
			t.Fatal(err)
		}
	}
	for _, format := range []string{"gnu", "pax"} {
		data, err := exec.Command("tar", "--format="+format, "-S", "-C", dir, "-c", ".").Output()
		if err != nil {
			t.Fatal(err)
		}
		src := source(data)
		src.Largest = 12e6
		if _, err := newStage(t).AddLayer(t.Context(), src); err != nil {
			t.Error(err)
		}
		src.Largest--
		_, err = newStage(t).AddLayer(t.Context(), src)
		if err == nil || !strings.Contains(err.Error(), "sparse files have more than 11999999 bytes") {
			t.Errorf("error %v", err)
		}
	}
}

// A layer stops before it takes the last room of a file system on which others
// live, too.
func TestReserveStaysFree(t *testing.T) {
	needTar2sqfs(t)
	s := smallStage(t, "96m")
	s.Reserve = 64 << 20
	least := int64(1 << 60)
	src := source(noise(t, 60<<20))
	open := src.Open
	src.Open = func(ctx context.Context) (io.ReadCloser, error) {
		r, err := open(ctx)
		return watching{r, s.Dir(), &least}, err
	}
	_, err := s.AddLayer(context.Background(), src)
	var full *NoSpaceError
	if !errors.As(err, &full) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v", err)
	}
	if least < 16<<20 {
		t.Errorf("at one time only %d bytes were free", least)
	}
	if left := append(files(t, s, "tmp"), files(t, s, "layers")...); left != nil {
		t.Errorf("left %v", left)
	}
}

// watching looks at the free space while a layer is read.
type watching struct {
	io.ReadCloser
	dir   string
	least *int64
}

func (w watching) Read(p []byte) (int, error) {
	var st unix.Statfs_t
	if unix.Statfs(w.dir, &st) == nil {
		*w.least = min(*w.least, int64(st.Bavail)*st.Bsize)
	}
	return w.ReadCloser.Read(p)
}
