package durable

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"testing/iotest"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is streamed is what was read, whether or not the file system can be written past
// the page cache, and what was written before stays. An error of who reads is told.
func TestStream(t *testing.T) {
	data := make([]byte, 3*pieceSize+5)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	memory, err := os.MkdirTemp("/dev/shm", "stream")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(memory) })
	failed := errors.New("the registry went away")
	for _, dir := range []string{t.TempDir(), memory} {
		for _, size := range []int{0, 1, pieceSize - 1, pieceSize, pieceSize + 1, len(data)} {
			for _, ends := range []error{io.EOF, failed} {
				f, err := Create(dir, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				n, err := Stream(f.File, io.MultiReader(iotest.HalfReader(bytes.NewReader(data[:size])), iotest.ErrReader(ends)))
				if n != int64(size) || (ends == failed) != (err != nil) || err != nil && !errors.Is(err, failed) {
					t.Errorf("%s, %d bytes: %d, %v", dir, size, n, err)
				}
				if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, data[:size]) {
					t.Errorf("%s, %d bytes: other ones were written, %d of them, %v", dir, size, len(got), err)
				}
				if _, err := f.Write([]byte("more")); err != nil {
					t.Errorf("%s, %d bytes: nothing can be written then: %v", dir, size, err)
				}
				f.Discard()
			}
		}
	}
}

// What was streamed into a file is not in memory then, and what does not begin where a
// block does is written all the same.
func TestStreamPastTheCache(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("content "), 2*pieceSize/8)
	for _, before := range []string{"", "head"} {
		f, err := Create(dir, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Discard()
		if _, err := f.WriteString(before); err != nil {
			t.Fatal(err)
		}
		if _, err := Stream(f.File, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if cached := cached(t, f.File); before == "" && cached > 0 {
			t.Errorf("%d pages are in memory", cached)
		}
		if got, err := os.ReadFile(f.Name()); err != nil || string(got) != before+string(data) {
			t.Errorf("after %q: other bytes were written, %d of them, %v", before, len(got), err)
		}
	}
}

// What the file system does not take is told.
func TestStreamIsRefused(t *testing.T) {
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: pieceSize + 4096, Max: unix.RLIM_INFINITY}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	f, err := Create(t.TempDir(), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	if _, err := Stream(f.File, bytes.NewReader(make([]byte, 4*pieceSize))); !errors.Is(err, syscall.EFBIG) {
		t.Error(err)
	}
}

// cached counts the pages of a file that are in memory.
func cached(t *testing.T, f *os.File) (n int) {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	pages := make([]byte, (len(m)+os.Getpagesize()-1)/os.Getpagesize())
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), uintptr(unsafe.Pointer(&pages[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for _, p := range pages {
		n += int(p & 1)
	}
	return n
}
