package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gitboot/gitboot/reconciler/source/treefs"
)

func openFolder(t *testing.T, dir string) fs.FS {
	t.Helper()
	fsys, err := Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

// odd writes what a repo may hold and a file system may hold beside it.
func odd(r *repo) {
	r.write("gitboot.toml", "x")
	r.write("shared/real", "content")
	r.write("hosts/lab/gitboot.toml", "lab")
	r.write("run.sh", "#!/bin/sh\n")
	r.write("bad\xffname", "not UTF-8")
	r.write("rootfs.tar", "version https://git-lfs.github.com/spec/"+"v1\noid sha256:"+strings.Repeat("0", 64)+"\nsize 12345\n")
	r.link("../../shared/real", "hosts/lab/up")
	r.link("../shared", "hosts/folder")
	r.link("../../../etc/passwd", "hosts/lab/out")
	r.link("/dev/zero", "hosts/lab/zero")
	r.link("..", "hosts/parent")
	r.link("loop", "hosts/loop")
	r.link("nowhere", "hosts/dangling")
	r.link("../.git/config", "hosts/meta")
	r.must(os.Chmod(filepath.Join(r.dir, "run.sh"), 0o755))
	r.must(os.MkdirAll(filepath.Join(r.dir, "empty/within"), 0o755))
	r.must(syscall.Mkfifo(filepath.Join(r.dir, "pipe"), 0o600))
	r.must(os.MkdirAll(filepath.Join(r.dir, "onlypipe"), 0o755))
	r.must(syscall.Mkfifo(filepath.Join(r.dir, "onlypipe/pipe"), 0o600))
	other := newRepo(r.t)
	r.must(os.Rename(func() string { other.commit("f", "1"); return other.dir }(), filepath.Join(r.dir, "plugin")))
	r.link("../plugin/f", "hosts/plugin")
}

func (r *repo) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// TestFolderIsReadLikeACommit holds that validate on a folder and a reconcile
// of the commit made from it see the same.
func TestFolderIsReadLikeACommit(t *testing.T) {
	r := newRepo(t)
	odd(r)
	for _, subdir := range []string{"", "hosts", "hosts/lab", "shared"} {
		commit, folder := r.filesOf(subdir), openFolder(t, filepath.Join(r.dir, subdir))
		if a, b := listed(commit, ".", 0), listed(folder, ".", 0); a != b {
			t.Errorf("%q as a commit:\n%s\nas a folder:\n%s", subdir, a, b)
		}
		for _, name := range []string{"hosts/parent/hosts/parent/shared/real", "empty", "empty/within", "onlypipe", ".git", ".git/config", "plugin/f", "hosts/meta", "up", "out", "zero", "../run.sh", "gone", "gitboot.toml/x"} {
			if a, b := described(commit, name), described(folder, name); a != b {
				t.Errorf("%q: %s as a commit is\n%s, as a folder\n%s", subdir, name, a, b)
			}
		}
		r.write("more", subdir)
	}
}

// listed describes everything below a folder, links followed a little.
func listed(fsys fs.FS, dir string, depth int) string {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil || depth > 4 {
		return fmt.Sprintln(dir, err)
	}
	var b strings.Builder
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		fmt.Fprintf(&b, "%q %v %s\n", name, e.Type(), described(fsys, name))
		if info, err := fs.Stat(fsys, name); err == nil && info.IsDir() {
			b.WriteString(listed(fsys, name, depth+1))
		}
	}
	return b.String()
}

func described(fsys fs.FS, name string) string {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return err.Error()
	}
	content, err := fs.ReadFile(fsys, name)
	return fmt.Sprintf("%v %d %q %v", info.Mode(), info.Size(), content, err)
}

func TestFolderIsAFileSystem(t *testing.T) {
	r := newRepo(t)
	r.write("gitboot.toml", "x")
	r.write("machines/sub/b.toml", "b")
	r.link("machines/sub/b.toml", "link")
	if err := fstest.TestFS(openFolder(t, r.dir), "gitboot.toml", "machines/sub/b.toml", "link"); err != nil {
		t.Error(err)
	}
}

// TestFolderWithoutGit has links that may not leave the folder.
func TestFolderWithoutGit(t *testing.T) {
	dir := t.TempDir()
	fsys := openFolder(t, dir)
	if _, err := fs.ReadFile(fsys, "gitboot.toml"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := os.Symlink("../x", filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadFile(fsys, "out"); !errors.Is(err, treefs.ErrLeaves) {
		t.Error(err)
	}
	if _, err := Folder(filepath.Join(dir, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestFolderNeverWaits holds that nothing that lies in a folder can make its
// reader wait or read without end.
func TestFolderNeverWaits(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		syscall.Mknod(filepath.Join(dir, "socket"), syscall.S_IFSOCK|0o600, 0),
		os.Symlink("/dev/zero", filepath.Join(dir, "zero")), os.Symlink("pipe", filepath.Join(dir, "linked"))); err != nil {
		t.Fatal(err)
	}
	fsys := openFolder(t, dir)
	done := make(chan map[string]error)
	go func() {
		errs := map[string]error{}
		for _, name := range []string{"pipe", "socket", "zero", "linked"} {
			_, errs[name] = fs.ReadFile(fsys, name)
		}
		// What took a file's place after it was looked up.
		_, _, errs["late"] = (&folder{top: dir}).Open(treefs.Node{Path: "pipe"})
		done <- errs
	}()
	select {
	case errs := <-done:
		for name, want := range map[string]error{"pipe": errSpecial, "socket": errSpecial, "zero": treefs.ErrLeaves, "linked": errSpecial, "late": errSpecial} {
			if !errors.Is(errs[name], want) {
				t.Errorf("%s: %v, want %v", name, errs[name], want)
			}
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it waits")
	}
}
