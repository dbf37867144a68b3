package durable

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteFileReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, content := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v", got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
}

func TestNothingIsLeftOfWhatIsNotPublished(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(dir, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.Discard()
	f.Discard()
	if err := f.Publish(filepath.Join(dir, "f")); err == nil {
		t.Error("a discarded file was published")
	}
	if f, err = Create(dir, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Publish(filepath.Join(dir, "missing", "f")); err == nil {
		t.Error("published into a folder that is not there")
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestMkdirAllAndRemove(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b")
	for range 2 {
		if err := MkdirAll(deep, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := Remove(deep); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, filepath.Join(dir, "a")); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(filepath.Join(dir, "file", "x"), 0o700); err == nil {
		t.Error("a folder was made in a file")
	}
}

// TestCopy copies a file, and leaves nothing of one that cannot be read.
func TestCopy(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, sum, err := Copy(t.Context(), dir, 0o640, from)
	if err != nil || sum != fmt.Sprintf("%x", sha256.Sum256([]byte("abc"))) {
		t.Fatal(sum, err)
	}
	if err := f.Publish(to); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(to); err != nil || string(data) != "abc" {
		t.Errorf("copied %q, %v", data, err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for name, ctx := range map[string]context.Context{from: ended, dir: t.Context(), to + "2": t.Context()} {
		if _, _, err := Copy(ctx, dir, 0o600, name); err == nil {
			t.Errorf("%s: copied", name)
		}
	}
	if left := names(t, dir); len(left) != 2 {
		t.Errorf("left: %q", left)
	}
}

func TestFailing(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EROFS} {
		err := Failing("/stage", &fs.PathError{Op: "open", Path: "/stage/lock", Err: errno})
		if !errors.Is(err, errno) || !strings.Contains(err.Error(), "/stage") || !strings.Contains(err.Error(), "kernel's log") {
			t.Errorf("%v: %v", errno, err)
		}
		if again := Failing("/stage", fmt.Errorf("run: %w", err)); strings.Count(again.Error(), "kernel's log") != 1 {
			t.Errorf("said twice: %v", again)
		}
	}
	stick := Failing("/stage", &fs.PathError{Op: "write", Path: "/media/stick/file", Err: syscall.EIO})
	if !strings.Contains(stick.Error(), "the disk of /media/stick fails") {
		t.Errorf("another disk: %v", stick)
	}
	if err := Failing("/stage", fs.ErrNotExist); err != fs.ErrNotExist {
		t.Errorf("another error becomes %v", err)
	}
	if err := Failing("/stage", nil); err != nil {
		t.Errorf("no error becomes %v", err)
	}
}

// What is no file is written to, or refused; nothing is put in its place.
func TestOutput(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(unix.Mkfifo(at("pipe"), 0o600), os.WriteFile(at("file"), []byte("old"), 0o600), os.Symlink("file", at("link")), os.Symlink("pipe", at("stdout"))); err != nil {
		t.Fatal(err)
	}
	say := func(w io.Writer) error {
		_, err := io.WriteString(w, "new")
		return err
	}
	if err := Output(at("link"), 0o600, func(w io.Writer) error { return errors.Join(say(w), io.ErrShortWrite) }); err == nil {
		t.Error("what is not whole is written")
	}
	if data, err := os.ReadFile(at("file")); err != nil || string(data) != "old" {
		t.Errorf("the file says %q, %v", data, err)
	}
	for name, in := range map[string]string{"link": "file", "fresh": "fresh"} {
		if err := Output(at(name), 0o600, say); err != nil {
			t.Error(name, err)
		}
		if data, err := os.ReadFile(at(in)); err != nil || string(data) != "new" {
			t.Errorf("%s says %q, %v", in, data, err)
		}
	}
	for _, name := range []string{"pipe", "stdout"} {
		reader, err := os.OpenFile(at("pipe"), os.O_RDWR, 0) // both, so that nobody waits
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 3)
		if err := Output(at(name), 0o600, say); err != nil {
			t.Error(name, err)
		} else if _, err := io.ReadFull(reader, got); err != nil || string(got) != "new" {
			t.Errorf("%s gives %q, %v", name, got, err)
		}
		if err := WriteFile(at("pipe"), nil, 0o600); err == nil || !strings.Contains(err.Error(), "name another file") {
			t.Errorf("a file is put in the place of a pipe: %v", err)
		}
		reader.Close()
	}
	for name, mode := range map[string]fs.FileMode{"link": fs.ModeSymlink, "stdout": fs.ModeSymlink, "pipe": fs.ModeNamedPipe} {
		if info, err := os.Lstat(at(name)); err != nil || info.Mode().Type() != mode {
			t.Errorf("%s is %v, %v", name, info, err)
		}
	}
	if left := names(t, dir); len(left) != 5 {
		t.Errorf("left: %q", left)
	}
}
