package stage

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// smallTar is a layer of a few entries.
func smallTar(t *testing.T, headers ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, hdr := range headers {
		hdr.ModTime = time.Unix(1700000000, 0)
		if err := w.WriteHeader(hdr); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(hdr.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}
}

func TestAddLayer(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	src := source(smallTar(t, file("etc/a", 3), file("etc/.wh.b", 0)))
	o, err := s.AddLayer(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.ObjectPath(o))
	if err != nil || info.Size() != o.Size || info.Mode() != 0o600 {
		t.Fatalf("object %v, %v", info, err)
	}
	listing := strings.Join(strings.Fields(run(t, "unsquashfs", "-lln", s.ObjectPath(o))), " ")
	for _, want := range []string{"drwxr-xr-x 0/0", "-rw-r--r-- 0/0 3 2023-11-14 22:13 squashfs-root/etc/a", "c--------- 0/0 0, 0 1970-01-01 00:00 squashfs-root/etc/b"} {
		if !strings.Contains(listing, want) {
			t.Errorf("no %q in\n%s", want, listing)
		}
	}
	src.Open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("opened again") }
	if again, err := s.AddLayer(context.Background(), src); err != nil || again != o {
		t.Errorf("a layer that is there: %v, %v", again, err)
	}
	if left := files(t, s, "tmp"); left != nil {
		t.Errorf("left in tmp: %v", left)
	}
}

func TestAddLayerCanBeReadBeforeItHasAName(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	src := source(smallTar(t, file("etc/a", 3)))
	var early []byte
	src.Readable = func(path string) {
		var err error
		if early, err = os.ReadFile(path); err != nil {
			t.Error(err)
		}
		if objects := files(t, s, "objects/sha256"); objects != nil {
			t.Errorf("named already: %v", objects)
		}
	}
	o, err := s.AddLayer(t.Context(), src)
	if err != nil || digest(early) != o.SHA256 {
		t.Fatalf("%v; %d bytes were read early, which are not the object's", err, len(early))
	}
	src.Readable = func(path string) { early, _ = os.ReadFile(path) }
	early = nil
	if _, err := s.AddLayer(t.Context(), src); err != nil || digest(early) != o.SHA256 {
		t.Errorf("a layer that is there: %v, %d bytes", err, len(early))
	}
}

func TestAddLayerIsReproducible(t *testing.T) {
	needTar2sqfs(t)
	data := smallTar(t, file("a", 300000), file("b", 10), file("c/d", 200000))
	first, err := newStage(t).AddLayer(context.Background(), source(data))
	if err != nil {
		t.Fatal(err)
	}
	second, err := newStage(t).AddLayer(context.Background(), source(data))
	if err != nil || first != second {
		t.Errorf("%v and %v (%v)", first, second, err)
	}
}

func TestAddLayerReadsReplacedFilesAgain(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	src := source(smallTar(t, file("a", 300000), file("b", 1), file("a", 2), file("c", 70000)))
	opened := 0
	open := src.Open
	src.Open = func(ctx context.Context) (io.ReadCloser, error) { opened++; return open(ctx) }
	o, err := s.AddLayer(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	if opened != 2 {
		t.Errorf("opened %d times", opened)
	}
	if got := run(t, "unsquashfs", "-cat", s.ObjectPath(o), "a"); got != "xx" {
		t.Errorf("a holds %d bytes", len(got))
	}
}

func TestAddLayerSideBySide(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	var opened atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		src := source(smallTar(t, file(fmt.Sprintf("a%d", i/4), 100000)))
		open := src.Open
		src.Open = func(ctx context.Context) (io.ReadCloser, error) { opened.Add(1); return open(ctx) }
		all.Go(func() {
			if _, err := s.AddLayer(context.Background(), src); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if opened.Load() != 2 {
		t.Errorf("two layers were opened %d times", opened.Load())
	}
}

func TestAddLayerRefuses(t *testing.T) {
	needTar2sqfs(t)
	good := smallTar(t, file("a", 200000))
	cut := errors.New("the connection was cut")
	for _, c := range []struct {
		name string
		src  func() Tar
		want string
	}{
		{"a bad diff id", func() Tar { return Tar{DiffID: "sha256:../../x"} }, "a diff id is sha256: and 64 hex digits"},
		{"another content", func() Tar {
			src := source(good)
			src.DiffID = "sha256:" + digest([]byte("other"))
			return src
		}, "the content has the digest sha256:" + digest(good)},
		{"a stream that fails at the end", func() Tar {
			src := source(good)
			src.Open = func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(bytes.NewReader(good), failing{cut})), nil
			}
			return src
		}, cut.Error()},
		{"a stream that is cut", func() Tar {
			src := source(good)
			src.Open = func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(io.MultiReader(bytes.NewReader(good[:100000]), failing{io.ErrUnexpectedEOF})), nil
			}
			return src
		}, "unexpected EOF"},
		{"no tar", func() Tar { return source(bytes.Repeat([]byte("x"), 2000)) }, "invalid tar header"},
		{"a way out", func() Tar { return source(smallTar(t, file("a", 1), file("../../etc/passwd", 1))) }, `entry "../../etc/passwd"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			_, err := s.AddLayer(context.Background(), c.src())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			for _, folder := range []string{"tmp", "layers", "objects/sha256"} {
				if left := files(t, s, folder); left != nil {
					t.Errorf("left in %s: %v", folder, left)
				}
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAddLayerStopsWithItsContext(t *testing.T) {
	needTar2sqfs(t)
	s := newStage(t)
	ctx, cancel := context.WithCancel(context.Background())
	data := smallTar(t, file("a", 3<<20))
	src := source(data)
	src.Open = func(ctx context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[:2<<20]), stalling{ctx, cancel})), nil
	}
	_, err := s.AddLayer(ctx, src)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left := files(t, s, "tmp"); left != nil {
		t.Errorf("left in tmp: %v", left)
	}
}

// stalling is a connection that hangs, at a moment when the user gives up.
type stalling struct {
	ctx    context.Context
	cancel func()
}

func (s stalling) Read([]byte) (int, error) {
	s.cancel()
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// What GNU tar writes with its various options is packed as it is: sparse
// files, long names, extended attributes, in each of its formats.
func TestAddLayerTakesWhatGNUTarWrites(t *testing.T) {
	needTar2sqfs(t)
	dir := t.TempDir()
	long := filepath.Join(strings.Repeat("n", 200), strings.Repeat("m", 200))
	script := []string{"mkdir -p " + filepath.Dir(long), "echo long > " + long, "echo s > sparse", "truncate -s 5000000 sparse",
		"echo e >> sparse", "ln " + long + " hard", "ln -s " + strings.Repeat("t", 300) + " soft"}
	for _, line := range script {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	for _, args := range [][]string{{"--format=gnu", "-S"}, {"--format=pax", "-S", "--sparse-version=0.0"},
		{"--format=pax", "-S", "--sparse-version=0.1"}, {"--format=pax", "-S", "--sparse-version=1.0"}, {"--format=gnu"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			data, err := exec.Command("tar", append(args, "-C", dir, "-c", ".")...).Output()
			if err != nil {
				t.Fatal(err)
			}
			s := newStage(t)
			o, err := s.AddLayer(context.Background(), source(data))
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(t.TempDir(), "out")
			run(t, "unsquashfs", "-q", "-n", "-d", out, s.ObjectPath(o))
			run(t, "diff", "-r", "--no-dereference", dir, out)
		})
	}
}
