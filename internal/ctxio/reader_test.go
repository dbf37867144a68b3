package ctxio

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReader(t *testing.T) {
	why := errors.New("why")
	ctx, end := context.WithCancelCause(context.Background())
	r := ReadCloser(ctx, io.NopCloser(strings.NewReader("abc")))
	if n, err := r.Read(make([]byte, 2)); n != 2 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	end(why)
	if n, err := r.Read(make([]byte, 2)); n != 0 || !errors.Is(err, why) {
		t.Errorf("after the end read %d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestDetached opens, and reads, what never comes.
func TestDetached(t *testing.T) {
	why := errors.New("why")
	silent, _ := io.Pipe()
	for name, open := range map[string]func() (io.ReadCloser, error){
		"reading": func() (io.ReadCloser, error) { return silent, nil },
		"opening": func() (io.ReadCloser, error) { select {} },
	} {
		ctx, end := context.WithCancelCause(context.Background())
		r := Detached(ctx, open)
		end(why)
		if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, why) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	failed := func() (io.ReadCloser, error) { return nil, why }
	if _, err := io.ReadAll(Detached(t.Context(), failed)); !errors.Is(err, why) {
		t.Errorf("what cannot be opened: %v", err)
	}
	abc := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("abc")), nil }
	if got, err := io.ReadAll(Detached(t.Context(), abc)); string(got) != "abc" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestWriter writes to who does not read, and to who does.
func TestWriter(t *testing.T) {
	why := errors.New("why")
	ctx, end := context.WithCancelCause(context.Background())
	var to strings.Builder
	if n, err := Writer(ctx, &to).Write([]byte("abc")); n != 3 || err != nil || to.String() != "abc" {
		t.Errorf("wrote %q: %d, %v", to.String(), n, err)
	}
	_, unread := io.Pipe()
	end(why)
	if n, err := Writer(ctx, unread).Write([]byte("abc")); n != 0 || !errors.Is(err, why) {
		t.Errorf("wrote to nobody: %d, %v", n, err)
	}
	if n, err := Writer(ctx, &to).Write([]byte("d")); n != 1 || err != nil {
		t.Errorf("a last word: %d, %v", n, err)
	}
}
