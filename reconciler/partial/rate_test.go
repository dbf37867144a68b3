package partial

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/readymade"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
	"github.com/gitboot/gitboot/tests/lab"
)

// A layer comes whole where that takes less time than reading here what it has.
func TestDearer(t *testing.T) {
	const mb = 1_000_000
	for what, c := range map[string]struct {
		whole, content  int64
		coming, reading speed
		want            bool
	}{
		"20 Mbit/s":                         {600 * mb, 1600 * mb, speed{2500_000, time.Second}, speed{16 * mb, 60 * time.Millisecond}, false},
		"400 Mbit/s":                        {600 * mb, 1600 * mb, speed{8 * mb, 160 * time.Millisecond}, speed{16 * mb, 60 * time.Millisecond}, false},
		"a computer beside it":              {600 * mb, 1600 * mb, speed{8 * mb, 20 * time.Millisecond}, speed{16 * mb, 60 * time.Millisecond}, true},
		"the same, a small computer":        {600 * mb, 1600 * mb, speed{8 * mb, 160 * time.Millisecond}, speed{16 * mb, 800 * time.Millisecond}, true},
		"too little has come to say":        {600 * mb, 1600 * mb, speed{100_000, time.Millisecond}, speed{16 * mb, 60 * time.Millisecond}, false},
		"nothing could be read":             {600 * mb, 1600 * mb, speed{8 * mb, time.Millisecond}, speed{}, false},
		"what does not compress, from disk": {1600 * mb, 1600 * mb, speed{8 * mb, 80 * time.Millisecond}, speed{16 * mb, 60 * time.Millisecond}, false},
	} {
		if got := dearer(c.whole, c.content, c.coming, c.reading); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// It is measured until enough has come, or all has, or nothing more does.
func TestGauge(t *testing.T) {
	all := make(chan struct{})
	g := newGauge(io.Discard)
	for range 9 {
		_, err := g.Write(make([]byte, 1<<20))
		must(t, err)
	}
	if s := g.speed(t.Context(), all); s.bytes != measured || s.took <= 0 {
		t.Errorf("enough: %+v", s)
	}
	g = newGauge(io.Discard)
	_, err := g.Write(make([]byte, 1000))
	must(t, err)
	if s := g.speed(t.Context(), all); s.bytes != 1000 || s.took < measuring {
		t.Errorf("it stands still: %+v", s)
	}
	close(all)
	if s := newGauge(io.Discard).speed(t.Context(), all); s.bytes != 0 || s.took >= measuring {
		t.Errorf("nothing lacks: %+v", s)
	}
}

// Who writes is held up when as much has come as may come in vain, until it is decided.
func TestGaugeHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGauge(io.Discard)
		for n := 1; n <= 20; n++ {
			if _, many, err := g.write(make([]byte, 1<<20)); err != nil || many != (n >= 16) {
				t.Errorf("after %d MiB: many %v, %v", n, many, err)
			}
		}
		written := make(chan error)
		go func() {
			_, err := g.Write(make([]byte, 1<<20))
			written <- err
		}()
		synctest.Wait()
		select {
		case <-written:
			t.Error("more was written before it was decided")
		default:
		}
		g.decide()
		must(t, <-written)
	})
}

// What is fetched over a slow link comes in parts, though it is measured.
func TestMeasured(t *testing.T) {
	link := lab.NewLink()
	s := newShelf(t)
	registry, err := lab.NewWatchedRegistry(t.TempDir(), link.Watch)
	must(t, err)
	t.Cleanup(func() { registry.Close() })
	s.Registry = registry
	m := newMachine(t)
	m.pull(t, s.push(t, layerTar(t)))
	ref := s.push(t, layerTar(t, 3, 9))
	link.Limit(1 << 20)
	link.Sent()
	m.measuredFrom = 1
	if promised, sent := m.pull(t, ref), link.Sent(); promised == 0 || sent > promised+documents {
		t.Errorf("%d bytes were promised, %d sent: %s", promised, sent, &m.log)
	}
}

// One that is found to come sooner whole comes whole, and that is no warning.
func TestSoonerWhole(t *testing.T) {
	s := newShelf(t)
	m := newMachine(t)
	ref := s.push(t, layerTar(t))
	img, err := image.Open(t.Context(), ref, "", image.Options{Insecure: true, Log: m.Log})
	must(t, err)
	l := img.Layers[0]
	var tally readymade.Tally
	src := tally.Count(stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Open: l.Open, Partial: &squash.Partial{Fetch: 1000,
		Open: func(context.Context) (io.ReadCloser, error) { return nil, &squash.DearerError{Spent: 700} }}}, l.Size)
	o, err := m.AddLayer(t.Context(), src)
	must(t, err)
	must(t, stage.Intact(t.Context(), m.Stage, o))
	if f := tally.Fetched(); f.Bytes != l.Size+700 || f.Vain != 700 || f.Layers != 1 || f.Parts != 0 {
		t.Errorf("fetched %+v", f)
	}
	if log := m.log.String(); !strings.Contains(log, "level=INFO msg=\"a layer is pulled whole: that is sooner done") || strings.Contains(log, "WARN") {
		t.Error(log)
	}
}
