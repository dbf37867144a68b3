package screen

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/term"
)

// drawEvery is how often a block is drawn, if it has changed.
const drawEvery = 100 * time.Millisecond

// A block is the lines at the end of a terminal that are drawn again and again,
// below what is written to it. Lines must be no wider than the terminal.
type block struct {
	tty   *os.File
	lines func(columns int) []string

	mu    sync.Mutex
	shown []string
	quit  chan struct{}
	ended chan struct{}
}

func startBlock(tty *os.File, lines func(columns int) []string) *block {
	b := &block{tty: tty, lines: lines, quit: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(b.ended)
		tick := time.NewTicker(drawEvery)
		defer tick.Stop()
		for {
			select {
			case <-b.quit:
				return
			case <-tick.C:
				b.draw(nil)
			}
		}
	}()
	return b
}

// Write puts whole lines above the block.
func (b *block) Write(p []byte) (int, error) { return len(p), b.draw(p) }

// draw writes text that stays, and the block anew below it.
func (b *block) draw(above []byte) error {
	columns, rows, err := term.GetSize(int(b.tty.Fd()))
	if err != nil || columns < 2 {
		columns, rows = 80, 24
	}
	lines := b.lines(columns - 1)
	lines = lines[:min(len(lines), rows-1)]
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(above) == 0 && slices.Equal(lines, b.shown) {
		return nil
	}
	return b.replace(above, lines)
}

func (b *block) replace(above []byte, lines []string) error {
	var frame bytes.Buffer
	if n := len(b.shown); n > 0 {
		fmt.Fprintf(&frame, "\x1b[%dA\x1b[J", n) // up, and erase what is below (ECMA-48, 8.3.22 and 8.3.39)
	}
	frame.Write(above)
	for _, line := range lines {
		frame.WriteString(line + "\n")
	}
	b.shown = lines
	_, err := b.tty.Write(frame.Bytes())
	return err
}

// close takes the block away.
func (b *block) close() error {
	close(b.quit)
	<-b.ended
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.replace(nil, nil)
}
