package flock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	one, two, writer := open(), open(), open()
	defer writer.Close()
	if err := errors.Join(Shared(t.Context(), one), Shared(t.Context(), two)); err != nil {
		t.Fatalf("two share it: %v", err)
	}
	if err := Try(writer); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("one tries to lock what others share: %v", err)
	}
	why := errors.New("why")
	ctx, end := context.WithCancelCause(t.Context())
	end(why)
	if err := Exclusive(ctx, writer); !errors.Is(err, why) {
		t.Errorf("one locks what others share: %v", err)
	}
	waited := make(chan error)
	go func() { waited <- Exclusive(t.Context(), writer) }()
	if err := errors.Join(Release(one), Release(two), <-waited); err != nil {
		t.Error(err)
	}
	late := open()
	defer late.Close()
	if err := Shared(ctx, late); !errors.Is(err, why) {
		t.Errorf("one shares what another has locked: %v", err)
	}
}
