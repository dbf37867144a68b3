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
