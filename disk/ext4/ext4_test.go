package ext4

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/tree"
)

const offset, length = 1 << 20, 300 << 20

func filesystem(t *testing.T) tree.Filesystem {
	t.Helper()
	large := filepath.Join(t.TempDir(), "large")
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 130<<20+1234) // several extents
	random.Read(data)
	if err := os.WriteFile(large, data, 0o640); err != nil {
		t.Fatal(err)
	}
	s := tree.Filesystem{
		UUID: "01234567-89ab-8def-8123-456789abcdef", Label: "stage", Seed: "11234567-89ab-8def-8123-456789abcdef", Time: time.Unix(1_700_000_000, 0),
		Folders: []tree.Folder{{Path: "/boot", Mode: 0o755}, {Path: "/empty", Mode: 0o700}},
		Files: []tree.File{
			{Path: "/gitboot/objects/large", Source: large, Size: int64(len(data)), Mode: 0o600},
			{Path: `/boot/it's "odd"`, Text: []byte("words\n"), Mode: 0o644}, {Path: "/boot/nothing", Mode: 0o644},
		},
	}
	for i := range 300 {
		s.Files = append(s.Files, tree.File{Path: "/many/" + strconv.Itoa(i), Text: bytes.Repeat([]byte{byte(i)}, i*40), Mode: 0o644})
	}
	return s
}

func make1(t *testing.T, s tree.Filesystem) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	made := piece.Disk{Size: offset + length + 1<<20, Table: gpt.Table{UUID: s.UUID}}
	defer made.Close()
	if err := Lay(t.Context(), s, &made.List, offset, length); err != nil {
		t.Fatal(err)
	}
	if err := made.Fill(t.Context(), f, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	return f
}

// What was made is whole for e2fsck, and holds what it was made of.
func TestMake(t *testing.T) {
	s := filesystem(t)
	f := make1(t, s)
	at := f.Name() + "?offset=" + strconv.Itoa(offset)
	if out, err := exec.Command("e2fsck", "-fn", at).CombinedOutput(); err != nil {
		t.Fatalf("e2fsck: %v\n%s", err, out)
	}
	dump := t.TempDir()
	if out, err := exec.Command("debugfs", "-R", "rdump / "+dump, at).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, file := range s.Files {
		want := file.Text
		if file.Source != "" {
			want, _ = os.ReadFile(file.Source)
		}
		path := filepath.Join(dump, file.Path)
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s holds %d bytes, not the %d of it: %v", file.Path, len(got), len(want), err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != file.Mode {
			t.Errorf("%s has mode %v", file.Path, info.Mode())
		}
	}
	out, err := exec.Command("debugfs", "-R", "stat /gitboot/objects/large", at).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "User:     0   Group:     0") || !strings.Contains(string(out), "mtime: 0x6553f100") {
		t.Errorf("%v: %s", err, out)
	}
	var used int64
	if out, err := exec.Command("du", "--block-size=1", f.Name()).Output(); err == nil {
		used, _ = strconv.ParseInt(strings.Fields(string(out))[0], 10, 64)
	}
	if most := s.Room() + 12<<20; used == 0 || used > most {
		t.Errorf("it takes %d bytes here, want %d at most", used, most)
	}
}

// What is made again is the same.
func TestSame(t *testing.T) {
	s := filesystem(t)
	s.Files = s.Files[1:]
	if a, b := sum(t, make1(t, s)), sum(t, make1(t, s)); a != b {
		t.Error("made again it is another")
	}
}

func sum(t *testing.T, f *os.File) (s [32]byte) {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<40)); err != nil {
		t.Fatal(err)
	}
	h.Sum(s[:0])
	return s
}

// What does not fit is an error, and so is a source that is shorter than it was said to
// be.
func TestMakeFails(t *testing.T) {
	s := filesystem(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	made := piece.Disk{Size: 66 << 20, Table: gpt.Table{UUID: s.UUID}}
	defer made.Close()
	if err := Lay(t.Context(), s, &made.List, 1<<20, 64<<20); err == nil {
		t.Error("it fits into less than it is")
	}
	s.Files = []tree.File{{Path: "/short", Source: "/etc/hostname", Size: 1 << 20}}
	if err := Lay(t.Context(), s, &made.List, 1<<20, 64<<20); err != nil {
		t.Error(err)
	}
	if err := made.Fill(t.Context(), f, func(int64) {}); err == nil {
		t.Error("a source is read beyond its end")
	}
}
