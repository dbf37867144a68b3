package engine_test

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/buildah"
	"github.com/gitboot/gitboot/build/engine/buildkit"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/tests/need"
)

// What one engine has built may be the base of what another builds: its children
// cannot tell.
func TestBasesMoveBetweenEngines(t *testing.T) {
	first := newBuildah(t)
	r := recipe.Recipe{FS: recipetest.Repo(map[string]string{
		"f": "FROM $GITBOOT_FROM\nENV A=b\nWORKDIR /root\nUSER 1:1\nSHELL [\"/bin/sh\", \"-ec\"]\nCOPY f /etc/f\n",
	}), Containerfiles: []string{"f"}}
	made := enginetest.Built(t, first, r, engine.Options{Base: enginetest.Busybox(t, first).ID})
	kit, err := buildkit.New(buildkit.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	at := made
	for _, e := range []engine.Engine{kit, newBuildah(t)} {
		if at, err = engine.ImportBuilt(t.Context(), e, at, "", t.TempDir()); err != nil {
			t.Fatal(err)
		}
		if at.Content != made.Content || at.Digest != made.Digest {
			t.Errorf("%s holds %s of %s, not %s of %s", e.Name(), at.Content, at.Digest, made.Content, made.Digest)
		}
	}
	enginetest.Contents(t, at)
}

func newBuildah(t *testing.T) engine.Engine {
	t.Helper()
	need.Root(t)
	b, err := buildah.New(buildah.Options{Dir: t.TempDir(), RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	need.Done(t, b.Check(t.Context()))
	return b
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
	err = engine.ImportBase(t.Context(), endless, dir, free-64<<20)
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
