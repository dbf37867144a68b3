package partial

import (
	"context"
	"io"
	"sync"
	"time"
)

// What is measured before a large layer is put together: how fast what lacks comes, for so
// many bytes and no longer than so long, and how fast what is here is read, for so many.
const (
	measured    = 8 << 20
	measuring   = time.Second
	measureRead = 16 << 20
	// measuredFrom is the size of layers of which that is measured: of smaller ones
	// neither way takes long.
	measuredFrom = 64 << 20
	// mostInVain is how many bytes come at most before it is known that they are wanted.
	mostInVain = 16 << 20
	// fewest is how many bytes must have come for their speed to mean anything.
	fewest = 256 << 10
)

// A speed is how many bytes took how long.
type speed struct {
	bytes int64
	took  time.Duration
}

// of is how long so many bytes take.
func (s speed) of(bytes int64) time.Duration {
	return time.Duration(float64(bytes) / float64(s.bytes) * float64(s.took))
}

// dearer reports whether a layer comes sooner whole than it is put together: whether all of
// it is here before the content that it has could be read here. Packing that content, which
// both ways do, takes about as long, and hides what comes meanwhile.
func dearer(whole, content int64, coming, reading speed) bool {
	if coming.bytes < fewest || reading.bytes == 0 {
		return false
	}
	return coming.of(whole) < reading.of(content)
}

// A gauge tells how fast bytes come that are written to it, and holds up whoever writes
// many before it is decided whether they are wanted.
type gauge struct {
	io.Writer
	began   time.Time
	enough  chan struct{}
	decided chan struct{}

	mu    sync.Mutex
	bytes int64
	// reached is how long it took until enough had come.
	reached speed
}

func newGauge(to io.Writer) *gauge {
	return &gauge{Writer: to, began: time.Now(), enough: make(chan struct{}), decided: make(chan struct{})}
}

// decide lets all come, or nobody wait any longer. It is called once.
func (m *gauge) decide() { close(m.decided) }

func (m *gauge) Write(p []byte) (int, error) {
	n, many, err := m.write(p)
	if many {
		<-m.decided
	}
	return n, err
}

func (m *gauge) write(p []byte) (n int, many bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.bytes
	if m.bytes += int64(len(p)); before < measured && m.bytes >= measured {
		m.reached = speed{m.bytes, time.Since(m.began)}
		close(m.enough)
	}
	n, err = m.Writer.Write(p)
	return n, m.bytes >= mostInVain, err
}

// speed waits until enough has come, or all, or long enough.
func (m *gauge) speed(ctx context.Context, all <-chan struct{}) speed {
	ctx, cancel := context.WithTimeout(ctx, measuring)
	defer cancel()
	select {
	case <-m.enough:
	case <-all:
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reached.bytes > 0 {
		return m.reached
	}
	return speed{m.bytes, time.Since(m.began)}
}

// readingSpeed reads some of what is here.
func (j *joiner) readingSpeed(ctx context.Context) (s speed, err error) {
	began := time.Now()
	for _, p := range j.here {
		if s.bytes >= measureRead {
			break
		}
		if err := ctx.Err(); err != nil {
			return s, err
		}
		if err := j.copy(ctx, io.Discard, p); err != nil {
			return s, err
		}
		s.bytes += p.Size
	}
	s.took = time.Since(began)
	return s, nil
}
