package source

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/reconciler/source/treefs"
)

func (r *repo) link(target, name string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		r.t.Fatal(err)
	}
}

// filesOf commits what was written and opens it below subdir.
func (r *repo) filesOf(subdir string) fs.FS {
	r.t.Helper()
	hash := r.commitAll("all")
	s := open(r.t, r.options())
	s.mustFetch(r.t, "")
	fsys, err := s.Files(hash, subdir)
	if err != nil {
		r.t.Fatal(err)
	}
	return fsys
}

func TestFilesAreAFileSystem(t *testing.T) {
	r := newRepo(t)
	r.write("gitboot.toml", "x")
	r.write("machines/a.toml", "a")
	r.write("machines/sub/b.toml", "b")
	r.write("machines-x", "sorts differently in git")
	r.write("run.sh", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(r.dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.link("machines/a.toml", "link")
	fsys := r.filesOf("")
	if err := fstest.TestFS(fsys, "gitboot.toml", "machines/sub/b.toml", "machines-x", "run.sh", "link"); err != nil {
		t.Error(err)
	}
	info, err := fs.Stat(fsys, "run.sh")
	if err != nil || info.Mode() != 0o755 || info.Size() != 10 || info.ModTime().Year() != 2026 {
		t.Errorf("run.sh: %v, %v", info, err)
	}
	matches, err := fs.Glob(fsys, "machines/*.toml")
	if err != nil || len(matches) != 1 {
		t.Errorf("Glob = %v, %v", matches, err)
	}
}

func TestSymlinks(t *testing.T) {
	r := newRepo(t)
	r.write("shared/real", "content")
	r.write("hosts/lab/gitboot.toml", "lab")
	r.link("../../shared/real", "hosts/lab/up")    // leaves the subdir, not the repo
	r.link("../shared", "hosts/folder")            // a folder
	r.link("lab/up", "hosts/twice")                // a link to a link
	r.link("../../../etc/passwd", "hosts/lab/out") // leaves
	r.link("/etc/passwd", "hosts/lab/absolute")    // leaves
	r.link("../../..", "hosts/lab/above")          // leaves as a folder
	r.link("loop", "hosts/lab/loop")               // for ever
	r.link("nowhere", "hosts/lab/dangling")        // nothing there
	r.link("lab/../../shared/./real", "hosts/x")   // winding, but inside
	lab := r.filesOf("/hosts/lab/")
	if got, err := fs.ReadFile(lab, "up"); err != nil || string(got) != "content" {
		t.Errorf("up = %q, %v", got, err)
	}
	if to, err := fs.ReadLink(lab, "up"); err != nil || to != "../../shared/real" {
		t.Errorf("ReadLink = %q, %v", to, err)
	}
	for name, want := range map[string]error{
		"out": treefs.ErrLeaves, "absolute": treefs.ErrLeaves, "above/etc/passwd": treefs.ErrLeaves, "loop": treefs.ErrLinks,
		"dangling": fs.ErrNotExist, "gitboot.toml/x": fs.ErrNotExist,
		"../twice": fs.ErrInvalid, "/up": fs.ErrInvalid,
	} {
		if _, err := fs.ReadFile(lab, name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if _, err := lab.Open(name); !errors.Is(err, want) {
			t.Errorf("open %s: %v, want %v", name, err, want)
		}
	}
	r.write("more", "")
	hosts := r.filesOf("hosts")
	for _, name := range []string{"twice", "folder/real", "x"} {
		if got, err := fs.ReadFile(hosts, name); err != nil || string(got) != "content" {
			t.Errorf("%s = %q, %v", name, got, err)
		}
	}
	if err := fs.WalkDir(hosts, ".", func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
		t.Errorf("walking past bad links: %v", err)
	}
}

func TestElsewhereContent(t *testing.T) {
	r := newRepo(t)
	r.write("rootfs.tar", "version https://git-lfs.github.com/spec/"+"v1\noid sha256:"+strings.Repeat("0", 64)+"\nsize 12345\n")
	other := newRepo(t)
	pinned := other.commit("f", "1")
	r.git("update-index", "--add", "--cacheinfo", "160000,"+pinned+",plugins/vim")
	r.git("add", "rootfs.tar")
	r.git("commit", "-q", "-m", "all")
	s := open(t, r.options())
	fsys, err := s.Files(s.mustFetch(t, "").Hash, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"rootfs.tar": treefs.ErrLFS, "plugins/vim/f": treefs.ErrSubmodule, "plugins/vim": treefs.ErrSubmodule} {
		if _, err := fs.ReadFile(fsys, name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if err := fs.WalkDir(fsys, ".", func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
		t.Errorf("walking past a submodule: %v", err)
	}
}

// TestHostileTrees has names that no file system would give.
func TestHostileTrees(t *testing.T) {
	for _, name := range []string{"..", ".", ".git/../x", "a/b"} {
		r := newRepo(t)
		r.commit("a", "1")
		blob := r.git("rev-parse", "HEAD:a")
		raw := "100644 " + name + "\x00" + unhex(t, blob)
		tree := r.hashObject("tree", raw)
		commit := r.git("commit-tree", "-m", "hostile", tree)
		r.git("update-ref", "refs/heads/main", commit)
		s := open(t, r.options())
		rev, err := s.Fetch(t.Context(), "")
		if err != nil {
			continue // refused even earlier
		}
		fsys, err := s.Files(rev.Hash, "")
		if err == nil {
			_, err = fs.ReadDir(fsys, ".")
		}
		if err == nil {
			t.Errorf("an entry named %q is listed", name)
		}
	}
}

func (r *repo) hashObject(kind, content string) string {
	r.t.Helper()
	cmd := exec.Command("git", "hash-object", "-t", kind, "-w", "--literally", "--stdin")
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, gitEnv(), strings.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestFilesProblems(t *testing.T) {
	r := newRepo(t)
	tip := r.commit("a/b", "1")
	s := open(t, r.options())
	s.mustFetch(t, "")
	for _, c := range [][2]string{{tip, "gone"}, {tip, "a/b"}, {strings.Repeat("0", 40), ""}, {"main", ""}, {tip[:8], ""}} {
		if _, err := s.Files(c[0], c[1]); err == nil {
			t.Errorf("Files(%q, %q) succeeded", c[0], c[1])
		}
	}
}

// TestConcurrentReaders is for the race detector, and for a file system that
// stays valid while the clone is fetched into and its packs are joined.
func TestConcurrentReaders(t *testing.T) {
	r := newRepo(t)
	for _, name := range []string{"a", "b", "c/d", "e"} {
		r.write(name, name)
	}
	tip := r.commitAll("all")
	s := open(t, r.options())
	s.mustFetch(t, "")
	fsys, err := s.Files(tip, "")
	if err != nil {
		t.Fatal(err)
	}
	next := r.commit("a", "changed")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, name := range []string{"a", "b", "c/d", "e"} {
				if got, err := fs.ReadFile(fsys, name); err != nil || string(got) != name {
					t.Errorf("%s = %q, %v", name, got, err)
				}
			}
		})
	}
	if got := s.mustFetch(t, tip).Hash; got != next {
		t.Errorf("Fetch = %s, want %s", got, next)
	}
	wg.Wait()
}

func TestHostileSubject(t *testing.T) {
	r := newRepo(t)
	r.write("a", "1")
	r.commitAll("\x1b[31mred\x07\tpwn\u009b\n\nbody")
	if rev := open(t, r.options()).mustFetch(t, ""); rev.Subject != "[31mred  pwn" {
		t.Errorf("Subject = %q", rev.Subject)
	}
}

func unhex(t *testing.T, s string) string {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestLargeFile is read as a stream, from a local repo and from the clone.
func TestLargeFile(t *testing.T) {
	r := newRepo(t)
	want := strings.Repeat("0123456789abcdef", 3<<20/16)
	r.write("big", want)
	r.write("small", "s")
	fsys := r.filesOf("")
	if err := fstest.TestFS(fsys, "big", "small"); err != nil {
		t.Error(err)
	}
	if got, err := fs.ReadFile(fsys, "big"); err != nil || string(got) != want {
		t.Errorf("big: %d bytes, %v", len(got), err)
	}
}
