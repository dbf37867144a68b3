package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

// A display shows progress: bars on a terminal, plain lines elsewhere. The
// rules:
//
//   - Results go to standard output, progress, logs and errors to standard
//     error.
//   - Bars are drawn only where standard error is a terminal.
//   - Elsewhere a task prints a line when it ends, and one every ten seconds
//     while it runs; tasks that end within a second and move nothing are
//     silent.
//   - An image that is being built is shown as display_build.go says.
//   - What strangers wrote, such as a build's output, is shown without control
//     characters and cut to the terminal's width.
//
// A nil display is silent.
type display struct {
	out  io.Writer
	bars *mpb.Progress // nil where there is no terminal

	mu     sync.Mutex
	tasks  map[string]*shownTask
	builds map[string]*shownBuild
}

type shownTask struct {
	bar     *mpb.Bar
	began   time.Time
	printed time.Time
	last    int64
}

const lineEvery = 10 * time.Second

func newDisplay(w io.Writer) *display {
	d := &display{out: w, tasks: map[string]*shownTask{}, builds: map[string]*shownBuild{}}
	if f, ok := plain.Raw(w).(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		d.bars = mpb.New(mpb.WithOutput(f), mpb.WithAutoRefresh())
	}
	return d
}

// log returns where log lines go: above the bars, where there are bars.
func (d *display) log(w io.Writer) io.Writer {
	if d != nil && d.bars != nil {
		return plain.NewWriter(d.bars)
	}
	return w
}

func (d *display) progress() progress.Sink {
	if d == nil {
		return nil
	}
	return d.show
}

// close ends the bars. Unfinished ones stay as they are.
func (d *display) close() error {
	if d == nil || d.bars == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tasks {
		t.bar.Abort(false)
	}
	for _, b := range d.builds {
		b.bar.Abort(true)
	}
	d.bars.Wait()
	d.bars = nil
	return nil
}

func (d *display) show(ev progress.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ev.Build != nil {
		d.showBuild(ev)
		return
	}
	t := d.tasks[ev.Task]
	if t == nil {
		t = &shownTask{began: time.Now(), printed: time.Now()}
		if d.bars != nil {
			t.bar = d.newBar(ev)
		}
		d.tasks[ev.Task] = t
	}
	if t.bar != nil {
		t.draw(ev)
	} else {
		d.line(t, ev)
	}
	if ev.Finished {
		delete(d.tasks, ev.Task)
	}
}

func (d *display) newBar(ev progress.Event) *mpb.Bar {
	return d.bars.AddBar(ev.Total,
		mpb.PrependDecorators(decor.Name(plain.Line(ev.Task), decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Counters(decor.SizeB1000(0), "% .1f / % .1f "), decor.AverageSpeed(decor.SizeB1000(0), "% .1f")))
}

func (t *shownTask) draw(ev progress.Event) {
	t.bar.SetCurrent(ev.Done)
	switch {
	case ev.Finished && ev.Err != nil:
		t.bar.Abort(false)
	case ev.Finished:
		t.bar.SetTotal(ev.Done, true)
	}
}

func (d *display) line(t *shownTask, ev progress.Event) {
	now := time.Now()
	took := now.Sub(t.began)
	switch {
	case ev.Finished && ev.Err != nil:
		fmt.Fprintf(d.out, "%s: failed after %s\n", ev.Task, took.Round(10*time.Millisecond))
	case ev.Finished && ev.Done > 0:
		fmt.Fprintf(d.out, "%s: %s in %s (%s/s)\n", ev.Task, byteSize(ev.Done), took.Round(10*time.Millisecond), byteSize(rate(ev.Done, took)))
	case !ev.Finished && now.Sub(t.printed) >= lineEvery:
		t.printed = now
		fmt.Fprintf(d.out, "%s: %s so far (%s/s)\n", ev.Task, byteSize(ev.Done), byteSize(rate(ev.Done-t.last, lineEvery)))
		t.last = ev.Done
	}
}

// count says how many there are of something.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func rate(n int64, took time.Duration) int64 {
	return int64(float64(n) / max(took.Seconds(), 1e-3))
}
