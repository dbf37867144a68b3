package treefs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// A failing store has one file in each folder, and fails where it is asked to.
type failing struct{ child, list, open, size, read error }

func (s failing) Child(Node, string) (Node, error) {
	return Node{Name: "a", Mode: filemode.Regular}, s.child
}
func (s failing) List(Node) ([]Node, error) { return nil, s.list }
func (s failing) Size(Node) (int64, error)  { return 1, s.size }
func (s failing) Open(Node) (io.ReadCloser, int64, error) {
	return io.NopCloser(iotest.ErrReader(cmp.Or(s.read, io.EOF))), 1, s.open
}

// What the machine could not give is known of the files, wherever it was met; what is
// wrong with the files themselves is not.
func TestFailure(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EMFILE, syscall.ENOENT, syscall.EACCES} {
		err := fmt.Errorf("reading: %w", &fs.PathError{Op: "read", Path: "/stage/pack", Err: errno})
		want := errno == syscall.EIO || errno == syscall.EMFILE
		for at, store := range map[string]failing{
			"child": {child: err}, "list": {list: err}, "open": {open: err}, "size": {size: err}, "read": {read: err},
		} {
			f, wrong := New(store, Node{}, "")
			if wrong != nil {
				t.Fatal(wrong)
			}
			if f.Failure() != nil {
				t.Errorf("failed at once: %v", f.Failure())
			}
			_, read := f.ReadFile("a")
			_, stat := f.Stat("a")
			_, list := f.ReadDir(".")
			if read == nil && stat == nil && list == nil {
				t.Errorf("%v at %s is not told", errno, at)
			}
			if failed := f.Failure(); (failed != nil) != want || want && !errors.Is(failed, errno) {
				t.Errorf("%v at %s: Failure = %v", errno, at, failed)
			}
		}
	}
}
