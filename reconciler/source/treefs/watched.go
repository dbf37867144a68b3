package treefs

import (
	"io"
	"sync/atomic"

	"github.com/gitboot/gitboot/internal/durable"
)

// Failure is the first error with which the machine failed to give what the tree has,
// nil if none did. What was judged of the files is worth nothing then.
func (f *Files) Failure() error {
	if err := f.store.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// A watched store keeps the first error that was the machine's.
type watched struct {
	Store
	failed atomic.Pointer[error]
}

func (w *watched) note(err error) error {
	if durable.OfMachine(err) {
		w.failed.CompareAndSwap(nil, &err)
	}
	return err
}

func (w *watched) Child(parent Node, name string) (Node, error) {
	n, err := w.Store.Child(parent, name)
	return n, w.note(err)
}

func (w *watched) List(parent Node) ([]Node, error) {
	nodes, err := w.Store.List(parent)
	return nodes, w.note(err)
}

func (w *watched) Open(n Node) (io.ReadCloser, int64, error) {
	r, size, err := w.Store.Open(n)
	if err != nil {
		return nil, 0, w.note(err)
	}
	return watchedFile{r, w}, size, nil
}

func (w *watched) Size(n Node) (int64, error) {
	size, err := w.Store.Size(n)
	return size, w.note(err)
}

type watchedFile struct {
	io.ReadCloser
	in *watched
}

func (f watchedFile) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	return n, f.in.note(err)
}
