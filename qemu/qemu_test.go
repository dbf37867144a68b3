package qemu_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func kernel(t *testing.T) string {
	t.Helper()
	need.Long(t)
	need.Root(t) // to make a root file system once
	path, err := lab.Kernel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// children counts the processes of this program that have a text among their
// arguments.
func children(t *testing.T, text string) (n int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(text)) && !strings.Contains(path, "/"+strconv.Itoa(os.Getpid())+"/") {
			n++
		}
	}
	return n
}

// A machine runs until it ends by itself, or its context does, and leaves nothing.
func TestRun(t *testing.T) {
	path := kernel(t)
	var printed bytes.Buffer
	began := time.Now()
	err := qemu.Run(t.Context(), qemu.Options{Kernel: path, Args: []string{"console=ttyS0", "panic=-1", "no_timer_check", "x=a b"}, Memory: 256 << 20, Console: &printed})
	if err != nil || !strings.Contains(printed.String(), "Unable to mount root fs") || !strings.Contains(printed.String(), `"x=a b"`) {
		t.Errorf("%v\n%s", err, printed.String())
	}
	t.Logf("the kernel ended after %.1f s", time.Since(began).Seconds())

	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	first := make(chan struct{})
	mark := "mark=" + strconv.Itoa(os.Getpid())
	var once bool
	go func() { <-first; cancel(why) }()
	err = qemu.Run(ctx, qemu.Options{Kernel: path, Args: []string{"console=ttyS0", "panic=0", mark}, Memory: 256 << 20, Console: writer(func(p []byte) {
		if !once {
			once = true
			close(first)
		}
	})})
	if !errors.Is(err, why) {
		t.Error(err)
	}
	if n := children(t, mark); n > 0 {
		t.Errorf("%d processes are left", n)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

// What QEMU refuses is told in its own words.
func TestRefused(t *testing.T) {
	need.Program(t, "qemu-system-x86_64")
	err := qemu.Run(t.Context(), qemu.Options{Kernel: filepath.Join(t.TempDir(), "none"), Memory: 256 << 20})
	if err == nil || !strings.Contains(err.Error(), "could not open kernel file") {
		t.Error(err)
	}
}

// The answer is one that was tried, and is not tried again.
func TestAccelerator(t *testing.T) {
	path, known := kernel(t), filepath.Join(t.TempDir(), "known")
	accel := qemu.Accelerator(t.Context(), "", path, known)
	_, err := os.Stat("/dev/kvm")
	if accel != qemu.TCG && err != nil {
		t.Errorf("%s without /dev/kvm", accel)
	}
	t.Logf("machines run with %s", accel)
	if err != nil {
		return // there is nothing to try
	}
	if text, err := os.ReadFile(known); err != nil || string(text) != string(accel) {
		t.Errorf("%q, %v", text, err)
	}
	if again := qemu.Accelerator(t.Context(), "", filepath.Join(t.TempDir(), "none"), known); again != accel {
		t.Errorf("%s, then %s", accel, again)
	}
}

// A disk holds what it is made of, whatever that is called, and only that.
func TestDisk(t *testing.T) {
	need.Programs(t, "mke2fs", "debugfs", "e2fsck")
	dir := t.TempDir()
	source := filepath.Join(dir, `a "b", c`)
	content := bytes.Repeat([]byte("0123456789abcde\n"), 1<<14)
	if err := os.WriteFile(source, content, 0o600); err != nil {
		t.Fatal(err)
	}
	d := qemu.Disk{UUID: "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a", Folders: []string{"/top/empty folder"}, Files: []qemu.File{
		{Path: "/top/deep/er/file", Source: source, Size: int64(len(content))}, {Path: "/top/deep/er/text", Text: []byte("text\n")}, {Path: "/top/nothing"},
	}}
	path, discard, err := qemu.Throwaway(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Make(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	files, err := qemu.ReadFolder(t.Context(), path, "/top/deep/er")
	if err != nil || len(files) != 2 || files["text"] != "text\n" || files["file"] != string(content) {
		t.Errorf("%d files: %v", len(files), err)
	}
	if files, err := qemu.ReadFolder(t.Context(), path, "/top/empty folder"); err != nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
	if out, err := exec.Command("debugfs", "-R", `stat "/top/deep/er"`, path).Output(); err != nil || !bytes.Contains(out, []byte("Mode:  0700")) {
		t.Errorf("%v: the stage's locks are refused in folders that others may open\n%s", err, out)
	}
	if _, err := qemu.ReadFolder(t.Context(), path, "/nowhere"); err == nil {
		t.Error("a folder that is not there is read")
	}
	if out, err := exec.Command("e2fsck", "-f", "-n", path).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
	if out, err := exec.Command("dumpe2fs", "-h", path).Output(); err != nil || !regexp.MustCompile(`Filesystem UUID: +`+d.UUID).Match(out) {
		t.Errorf("%v\n%s", err, out)
	}
	if err := discard(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// A disk of which something is missing is none.
func TestDiskFails(t *testing.T) {
	need.Programs(t, "mke2fs", "debugfs")
	dir := t.TempDir()
	path := filepath.Join(dir, "disk")
	none := qemu.File{Path: "/file", Source: filepath.Join(dir, "none")}
	for what, c := range map[string]struct {
		disk qemu.Disk
		want string
	}{
		"no such file": {qemu.Disk{UUID: "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a", Files: []qemu.File{none}}, "No such file or directory"},
		"no room":      {qemu.Disk{Files: []qemu.File{{Path: "/file", Source: path, Size: 1 << 60}}}, "TMPDIR"},
		"a line end":   {qemu.Disk{UUID: "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a", Files: []qemu.File{{Path: "/file", Source: "a\nquit"}}}, "line end"},
		"no UUID":      {qemu.Disk{UUID: "x"}, "mke2fs"},
	} {
		err := c.disk.Make(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() != 0 {
			t.Errorf("%s: a file is left, %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (qemu.Disk{UUID: "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a"}).Make(ctx, path); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A console is bounded, whatever is printed, and its end can be shown.
func TestConsole(t *testing.T) {
	var log bytes.Buffer
	c := qemu.NewConsole(&log)
	line := []byte(strings.Repeat("x", 1<<10) + "\r\n")
	for range qemu.MaxLog/len(line) + 100 {
		c.Write(line)
	}
	c.Write([]byte("\x1b[1mlast\x1b[0m line\r\n\r\n  \nunfinished"))
	if err := c.Err(); err != nil || log.Len() > qemu.MaxLog+200 || !strings.HasSuffix(log.String(), "MiB]\n") {
		t.Errorf("%d bytes are logged, %v", log.Len(), err)
	}
	if got := c.Last(2); len(got) != 2 || got[0] != "last line" || got[1] != "unfinished" {
		t.Errorf("%q", got)
	}
	failing := qemu.NewConsole(failingWriter{})
	if n, err := failing.Write(line); n != len(line) || err != nil || failing.Err() == nil {
		t.Errorf("%d, %v, %v", n, err, failing.Err())
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }
