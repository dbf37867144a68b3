package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/durable"
)

// What one engine has built may be the base of what another builds: its children
// cannot tell.
func TestBasesMoveBetweenEngines(t *testing.T) {
	first := newEngine(t)
	r := recipe.Recipe{FS: repo(map[string]string{
		"f": "FROM $GITBOOT_FROM\nENV A=b\nWORKDIR /root\nUSER 1:1\nSHELL [\"/bin/sh\", \"-ec\"]\nCOPY f /etc/f\n",
	}), Containerfiles: []string{"f"}}
	made := must(t, first, r, Options{Base: busybox(t, first).ID})
	kit, err := NewBuildkit(BuildkitOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	at := made
	for _, e := range []Engine{kit, newEngine(t)} {
		if at, err = ImportBuilt(t.Context(), e, at, "", t.TempDir()); err != nil {
			t.Fatal(err)
		}
		if at.Content != made.Content || at.Digest != made.Digest {
			t.Errorf("%s holds %s of %s, not %s of %s", e.Name(), at.Content, at.Digest, made.Content, made.Digest)
		}
	}
	contents(t, at)
}

// A base that would fill the disk on which the stage lies ends before that.
func TestABaseLeavesTheReserve(t *testing.T) {
	dir := t.TempDir()
	free, err := durable.FreeSpace(dir)
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	endless := func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.TeeReader(zeros{}, counting{&sent})), nil
	}
	_, err = importLayers(t.Context(), nil, []tarLayer{{open: endless, reserve: free - 64<<20}}, nil, "", dir)
	if !errors.Is(err, syscall.ENOSPC) || sent.Load() > 1<<30 {
		t.Errorf("%d bytes came: %v", sent.Load(), err)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("left %v: %v", left, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type counting struct{ n *atomic.Int64 }

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
