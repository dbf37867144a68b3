// Package treetest is what each file system passes that is made without being mounted.
package treetest

import (
	"bytes"
	"crypto/sha256"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/tree"
)

// Where file systems are put.
const (
	Offset = 1 << 20
	length = 500 << 20
)

// Filesystem is one with files of all sizes in it.
func Filesystem(t *testing.T) tree.Filesystem {
	t.Helper()
	large := filepath.Join(t.TempDir(), "large")
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 130<<20+1234) // several extents
	_, _ = random.Read(data)
	must(t, os.WriteFile(large, data, 0o640))
	s := tree.Filesystem{
		UUID: "01234567-89ab-8def-8123-456789abcdef", Label: "stage", Seed: "11234567-89ab-8def-8123-456789abcdef", Time: time.Unix(1_700_000_000, 0),
		Folders: []tree.Folder{{Path: "/boot", Mode: 0o755}, {Path: "/empty", Mode: 0o700}},
		Files: []tree.File{
			{Path: "/gitboot/objects/large", Source: large, Size: int64(len(data)), Mode: 0o600},
			{Path: `/boot/it's"odd"`, Text: []byte("words\n"), Mode: 0o644}, {Path: "/boot/nothing", Mode: 0o644},
		},
	}
	for i := range 300 {
		s.Files = append(s.Files, tree.File{Path: "/many/" + strconv.Itoa(i), Text: bytes.Repeat([]byte{byte(i)}, i*40), Mode: 0o644})
	}
	return s
}

// A Lay makes a file system.
type Lay func(s tree.Filesystem, disk *piece.List, offset, length int64) error

// Make makes one, in a file.
func Make(t *testing.T, s tree.Filesystem, lay Lay) (path string) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	must(t, err)
	defer f.Close()
	made := piece.Disk{Size: Offset + length + 1<<20, Table: gpt.Table{UUID: s.UUID}}
	defer made.Close()
	must(t, lay(s, &made.List, Offset, length))
	must(t, made.Fill(t.Context(), f, func(int64) {}))
	info, err := f.Stat()
	must(t, err)
	if used, most := info.Sys().(*syscall.Stat_t).Blocks*512, s.Room()+16<<20; used > most {
		t.Errorf("it takes %d bytes here, want %d at most", used, most)
	}
	return f.Name()
}

// Part has the file system alone in a file.
func Part(t *testing.T, disk string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "part")
	run(t, "dd", "if="+disk, "of="+path, "bs=1M", "skip=1", "count="+strconv.Itoa(length>>20), "conv=sparse", "status=none")
	return path
}

// Holds has the kernel read it, which finds what it was made of.
func Holds(t *testing.T, s tree.Filesystem, kind, part string) {
	t.Helper()
	dir := t.TempDir()
	run(t, "mount", "-o", "loop,ro", "-t", kind, part, dir)
	defer func() { must(t, unix.Unmount(dir, 0)) }()
	want := map[string]fs.FileMode{"/": fs.ModeDir | 0o755}
	for _, f := range s.AllFolders() {
		want[f.Path] = fs.ModeDir | f.Mode
	}
	for _, f := range s.Files {
		want[f.Path] = f.Mode
		data := f.Text
		if f.Source != "" {
			data, _ = os.ReadFile(f.Source)
		}
		if got, err := os.ReadFile(filepath.Join(dir, f.Path)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s holds %d bytes, not the %d of it: %v", f.Path, len(got), len(data), err)
		}
	}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		path := "/" + file[min(len(dir)+1, len(file)):]
		if st := info.Sys().(*syscall.Stat_t); want[path] != info.Mode() || st.Uid != 0 || st.Gid != 0 || path != "/" && !info.ModTime().Equal(s.Time) { // the top of btrfs is of now
			t.Errorf("%s is %v of %d:%d at %v, want %v", path, info.Mode(), st.Uid, st.Gid, info.ModTime(), want[path])
		}
		delete(want, path)
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("there is no %v: %v", want, err)
	}
}

// Sum is the sum of a file.
func Sum(t *testing.T, path string) [32]byte {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	must(t, err)
	return [32]byte(h.Sum(nil))
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
