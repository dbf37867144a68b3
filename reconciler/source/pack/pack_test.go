package pack

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/pack/attack"
)

func git(t testing.TB, dir, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// newRepo makes a repo whose objects are differences of many depths, from
// bases of many sizes, besides a file that cannot be compressed.
func newRepo(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "-b", "main")
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("noise", noise)
	write("empty", nil)
	for i := range 12 {
		noise[i*1000]++
		write("changing", noise[:200_000])
		write(fmt.Sprint("small", i), []byte(strings.Repeat(fmt.Sprintln(i), i)))
		git(t, dir, "", "add", "-A")
		git(t, dir, "", "commit", "-q", "-m", fmt.Sprint(i))
	}
	git(t, dir, "", "tag", "-a", "-m", "a tag", "v1")
	return dir
}

// all lists a repo's objects, as "name type size".
func all(t testing.TB, dir string) []string {
	return strings.Split(strings.TrimSpace(git(t, dir, "", "cat-file", "--batch-all-objects", "--batch-check")), "\n")
}

func names(objects []string) (names []plumbing.Hash) {
	for _, line := range objects {
		names = append(names, plumbing.NewHash(line[:40]))
	}
	return names
}

func receive(t testing.TB, data []byte) (Received, *os.File, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "p.pack"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	got, err := Receive(context.Background(), bytes.NewReader(data), f, scratchFile(t), nil)
	return got, f, err
}

func scratchFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "scratch")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestReceiveAsGit compares the index with git's own, for the ways in which a
// pack can name its bases.
func TestReceiveAsGit(t *testing.T) {
	dir := newRepo(t)
	in := strings.Join(all(t, dir), "\n") + "\n"
	var list strings.Builder
	for line := range strings.Lines(in) {
		list.WriteString(line[:40] + "\n")
	}
	for name, args := range map[string][]string{
		"by offset": {"--delta-base-offset"}, "by name": nil, "deep": {"--delta-base-offset", "--depth=200", "--window=50", "--no-reuse-delta"}, "whole": {"--window=0", "--no-reuse-delta"},
	} {
		t.Run(name, func(t *testing.T) {
			data := git(t, dir, list.String(), append([]string{"pack-objects", "-q", "--stdout"}, args...)...)
			got, f, err := receive(t, []byte(data))
			if err != nil {
				t.Fatal(err)
			}
			if written, err := os.ReadFile(f.Name()); err != nil || string(written) != data {
				t.Errorf("the pack was not written as it came (%v)", err)
			}
			theirs := filepath.Join(t.TempDir(), "theirs.idx")
			git(t, dir, "", "index-pack", "-o", theirs, f.Name())
			want, err := os.ReadFile(theirs)
			if err != nil || !bytes.Equal(want, got.Index) {
				t.Errorf("the index is not git's (%v)", err)
			}
		})
	}
}

// TestHeldIsBounded resolves differences whose bases together are larger than
// what is held, and so put together anew.
func TestHeldIsBounded(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "-b", "main")
	data := make([]byte, maxHeld/8)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	for i := range 12 {
		data[i*4096]++
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	indexedAsByGit(t, dir, 3, 3*len(data))
}

// indexedAsByGit has git pack a work tree with differences in chains of a depth,
// into so many bytes at most, and compares the index that is made of the pack.
func indexedAsByGit(t *testing.T, dir string, depth, most int) {
	t.Helper()
	git(t, dir, "", "add", "-A")
	git(t, dir, "", "commit", "-q", "-m", "x")
	git(t, dir, "", "repack", "-q", "-a", "-d", fmt.Sprint("--depth=", depth), "--window=10")
	packs, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatal(packs, err)
	}
	pack, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(pack) > most {
		t.Fatalf("a pack of %d bytes: git made no differences, so this test shows nothing", len(pack))
	}
	got, _, err := receive(t, pack)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(strings.TrimSuffix(packs[0], "pack") + "idx")
	if err != nil || !bytes.Equal(want, got.Index) {
		t.Errorf("the index is not git's (%v)", err)
	}
}

// TestStore reads and copies out of every way in which git stores objects.
func TestStore(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, dir string) string{
		"loose":  func(_ *testing.T, dir string) string { return dir },
		"packed": func(t *testing.T, dir string) string { git(t, dir, "", "gc", "-q"); return dir },
		"packed by name": func(t *testing.T, dir string) string {
			git(t, dir, "", "-c", "repack.useDeltaBaseOffset=false", "repack", "-qadf")
			return dir
		},
		"packed in parts": func(t *testing.T, dir string) string {
			git(t, dir, "", "repack", "-qad", "--max-pack-size=1m")
			return dir
		},
		"borrowed": func(t *testing.T, dir string) string {
			to := filepath.Join(t.TempDir(), "shared [x]")
			git(t, dir, "", "clone", "-q", "--shared", dir, to)
			return to
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := prepare(t, newRepo(t))
			s, err := Open(context.Background(), filepath.Join(dir, ".git", "objects"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			objects := all(t, dir)
			for _, line := range objects {
				h := plumbing.NewHash(line[:40])
				kind, err := plumbing.ParseObjectType(strings.Fields(line)[1])
				if err != nil {
					t.Fatal(err)
				}
				content, err := s.Read(h, kind)
				if err != nil || !s.Has(h) || fmt.Sprintf("%s %s %d", plumbing.ComputeHash(kind, content), kind, len(content)) != line {
					t.Fatalf("%s: read as %s, %d bytes, %v", line, kind, len(content), err)
				}
			}
			copyAll(t, s, objects)
			copyAll(t, s, objects[len(objects)/3:])
		})
	}
}

// copyAll writes a pack of some of a store's objects, of which others may be
// the bases.
func copyAll(t *testing.T, s *Store, objects []string) {
	t.Helper()
	var data bytes.Buffer
	if err := s.Write(context.Background(), &data, names(objects)); err != nil {
		t.Fatal(err)
	}
	got, f, err := receive(t, data.Bytes())
	if err != nil || got.Objects != len(objects) {
		t.Fatalf("%d objects of %d, %v", got.Objects, len(objects), err)
	}
	to := t.TempDir()
	git(t, to, "", "init", "-q", "--bare")
	git(t, to, data.String(), "index-pack", "--stdin")
	if copied := all(t, to); strings.Join(copied, "\n") != strings.Join(objects, "\n") {
		t.Errorf("%d objects copied, want %d", len(copied), len(objects))
	}
	if info, err := f.Stat(); err != nil || info.Size() != int64(data.Len()) {
		t.Errorf("%v, %v", info, err)
	}
}

func TestNotThere(t *testing.T) {
	dir := newRepo(t)
	s, err := Open(context.Background(), filepath.Join(dir, ".git", "objects"))
	if err != nil {
		t.Fatal(err)
	}
	h := plumbing.NewHash(strings.Repeat("1", 40))
	if _, err := s.Read(h, plumbing.BlobObject); s.Has(h) || !errors.Is(err, plumbing.ErrObjectNotFound) {
		t.Errorf("reading what is not there: %v", err)
	}
	if err := s.Write(context.Background(), new(bytes.Buffer), []plumbing.Hash{h}); !errors.Is(err, plumbing.ErrObjectNotFound) {
		t.Errorf("copying what is not there: %v", err)
	}
}

// TestNoFiles reads repos in which what should be a file is none, or is too
// large to be read.
func TestNoFiles(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"huge": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, maxIndex+1))
		},
	} {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "pack"), 0o700), make(filepath.Join(dir, "pack", "pack-1.idx"))); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(context.Background(), dir); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	dir := t.TempDir()
	h := plumbing.NewHash(strings.Repeat("1", 40))
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "11"), 0o700), syscall.Mkfifo(filepath.Join(dir, "11", h.String()[2:]), 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(h, plumbing.BlobObject); err == nil {
		t.Error("an object was read out of a pipe")
	}
}

// sealed appends a pack's sum.
func sealed(data []byte) []byte {
	sum := sha1.Sum(data)
	return append(data, sum[:]...)
}

// made builds a pack of entries: heads, each with what is deflated after it.
func made(t testing.TB, entries ...any) []byte {
	t.Helper()
	var to bytes.Buffer
	out := newOutgoing(&to)
	out.Write(appendHeader(nil, uint32(len(entries)/2)))
	for i := 0; i < len(entries); i += 2 {
		out.Write(entries[i].(head).append(nil))
		out.zlib.Reset(out)
		fmt.Fprint(out.zlib, entries[i+1])
		out.zlib.Close()
	}
	if err := out.finish(); err != nil {
		t.Fatal(err)
	}
	return to.Bytes()
}

// TestRefused receives what no honest server sends.
func TestRefused(t *testing.T) {
	blob := head{kind: plumbing.BlobObject, size: 3}
	good := made(t, blob, "abc")
	if _, _, err := receive(t, good); err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(good)
	damaged[len(damaged)-1]++
	bomb := "\x03\xff\xff\xff\xff\xff\x7f\x93\x00\x03" // a result of 4 TiB
	for name, data := range map[string][]byte{
		"empty":              nil,
		"not a pack":         []byte("<html>sign in to go on, please</html>"),
		"version 3":          sealed([]byte("PACK\x00\x00\x00\x03\x00\x00\x00\x00")),
		"cut short":          good[:len(good)-25],
		"without its sum":    good[:len(good)-20],
		"damaged":            damaged,
		"more follows":       append(bytes.Clone(good), 'x'),
		"too many":           sealed(appendHeader(nil, 1<<31)),
		"fewer than counted": sealed(appendHeader(nil, 2)),
		"longer than said":   made(t, head{kind: plumbing.BlobObject, size: 2}, "abc"),
		"shorter than said":  made(t, head{kind: plumbing.BlobObject, size: 1 << 40}, "abc"),
		"unknown type":       made(t, head{kind: 5, size: 3}, "abc"),
		"no base before":     made(t, head{kind: plumbing.OFSDeltaObject, size: 4, back: 5}, "\x03\x03\x90\x03"),
		"own base":           made(t, head{kind: plumbing.OFSDeltaObject, size: 4}, "\x03\x03\x90\x03"),
		"thin":               made(t, head{kind: plumbing.REFDeltaObject, size: 4, base: plumbing.NewHash(strings.Repeat("1", 40))}, "\x03\x03\x90\x03"),
		"bomb":               made(t, blob, "abc", head{kind: plumbing.REFDeltaObject, size: int64(len(bomb)), base: plumbing.ComputeHash(plumbing.BlobObject, []byte("abc"))}, bomb),
		"of another base":    made(t, blob, "abc", head{kind: plumbing.REFDeltaObject, size: 4, base: plumbing.ComputeHash(plumbing.BlobObject, []byte("abc"))}, "\x09\x03\x90\x03"),
	} {
		if got, _, err := receive(t, data); err == nil {
			t.Errorf("%s: accepted, %d objects", name, got.Objects)
		}
	}
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f, err := os.Create(filepath.Join(t.TempDir(), "p"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Receive(ctx, bytes.NewReader(made(t, head{kind: plumbing.BlobObject, size: 3}, "abc")), f, f, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Receive: %v", err)
	}
}

func FuzzReceive(f *testing.F) {
	blob := head{kind: plumbing.BlobObject, size: 3}
	base := plumbing.ComputeHash(plumbing.BlobObject, []byte("abc"))
	f.Add(made(f, blob, "abc", head{kind: plumbing.REFDeltaObject, size: 4, base: base}, "\x03\x03\x90\x03"))
	f.Add(made(f, blob, "abc", head{kind: plumbing.OFSDeltaObject, size: 4, back: 12}, "\x03\x03\x90\x03"))
	for _, seed := range [][]byte{
		attack.Doubling(someCommit, 12), attack.Many(someCommit, 3, 1<<12), attack.Zero(someCommit, attack.Blob, 1<<10),
		attack.Fine(someCommit, 1<<10, 1<<8), attack.Ladder(someCommit, 5, 1<<10), attack.Twins(someCommit, 3),
		attack.Start().Claiming(1<<32 - 1),
	} {
		f.Add(seed)
	}
	file, scratch := scratchFile(f), scratchFile(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, whole := range [][]byte{data, sealed(bytes.Clone(data))} {
			if err := file.Truncate(0); err != nil {
				t.Fatal(err)
			}
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got, err := Receive(context.Background(), bytes.NewReader(whole), file, scratch, nil)
			if err != nil {
				continue
			}
			p := &stored{f: file, end: int64(len(whole)) - trailerLen}
			if err := p.parse(got.Index); err != nil || p.count() != got.Objects {
				t.Fatalf("an index of %d objects, want %d: %v", p.count(), got.Objects, err)
			}
			s := &Store{ctx: context.Background(), packs: []*stored{p}, buf: newBuffer(), meter: meter{from: int64(len(whole))}}
			s.inflater = newInflater(&s.meter)
			for i := range p.count() {
				name := plumbing.Hash(p.names[i*20 : i*20+20])
				p, at := s.find(name)
				if c, err := s.unpack(p, at, plumbing.AnyObject); err != nil || plumbing.ComputeHash(c.kind, c.data) != name {
					t.Errorf("object %s was received, and is read as another: %v", name, err)
				}
			}
		}
	})
}
