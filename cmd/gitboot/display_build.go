package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

// A shownBuild is an image that is being built: on a terminal a block of two
// lines, what is done and what that printed last; elsewhere a line per step.
// When it has ended, one line is left of it.
type shownBuild struct {
	image string
	began time.Time
	bar   *mpb.Bar // nil where there is no terminal

	mu sync.Mutex // guards at, which is drawn while events come in
	at progress.Build
}

// columnsElsewhere is where lines are cut that no terminal shows.
const columnsElsewhere = 160

// showBuild is called with d.mu held. What draws takes the build's own lock
// alone: the bars wait for it.
func (d *display) showBuild(ev progress.Event) {
	b := d.builds[ev.Task]
	if b == nil {
		b = &shownBuild{image: ev.Task, began: time.Now()}
		d.builds[ev.Task] = b
		if d.bars != nil {
			b.bar = d.bars.MustAdd(0, mpb.BarFillerFunc(b.drawStep), mpb.BarFillerTrim(), mpb.BarExtender(mpb.BarFillerFunc(b.drawLine), false))
		} else {
			d.say("%s: building: %s", b.image, ev.Build.Reason)
		}
	}
	b.mu.Lock()
	before := b.at
	b.at = *ev.Build
	b.mu.Unlock()
	if ev.Finished {
		d.endBuild(b, ev.Err)
	} else if b.bar == nil && (before.Step != b.at.Step || before.Doing != b.at.Doing) {
		d.say("%s: %s", b.image, stepOf(b.at))
	}
}

func (d *display) endBuild(b *shownBuild, err error) {
	delete(d.builds, b.image)
	took := time.Since(b.began).Round(100 * time.Millisecond)
	switch {
	case err == nil:
		d.say("built %s in %s, %s, %d from cache", b.image, took, count(b.at.Steps, "step"), b.at.Cached)
	case errors.Is(err, context.Canceled):
		d.say("%s: stopped after %s", b.image, took)
	case b.at.Step > 0:
		d.say("%s: failed after %s at %s", b.image, took, stepOf(b.at))
	default:
		d.say("%s: failed after %s", b.image, took)
	}
	if b.bar != nil {
		b.bar.Abort(true)
	}
}

// say prints a line, above the bars where there are bars.
func (d *display) say(format string, args ...any) {
	line := plain.Line(fmt.Sprintf(format, args...))
	fmt.Fprintln(d.log(d.out), plain.Cut(line, columnsElsewhere))
}

// stepOf says which step is done: "step 3/7: RUN make".
func stepOf(b progress.Build) string {
	doing := plain.Line(b.Doing)
	switch {
	case b.Step == 0:
		return doing
	case b.Steps == 0:
		return fmt.Sprintf("step %d: %s", b.Step, doing)
	}
	return fmt.Sprintf("step %d/%d: %s", b.Step, b.Steps, doing)
}

func (b *shownBuild) now() progress.Build {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

// drawStep draws the first line: "base  1m12s  step 3/7: RUN make".
func (b *shownBuild) drawStep(w io.Writer, st decor.Statistics) error {
	at := b.now()
	what := stepOf(at)
	if what == "" {
		what = "building: " + at.Reason
	}
	line := fmt.Sprintf("%s  %s  %s", b.image, time.Since(b.began).Round(time.Second), what)
	_, err := io.WriteString(w, plain.Cut(line, st.AvailableWidth))
	return err
}

// drawLine draws the second one: what was printed last.
func (b *shownBuild) drawLine(w io.Writer, st decor.Statistics) error {
	line := strings.Repeat(" ", 4) + plain.Line(b.now().Line)
	_, err := fmt.Fprintln(w, plain.Cut(strings.TrimRight(line, " "), st.AvailableWidth))
	return err
}
