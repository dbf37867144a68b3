package overview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

const (
	// maxLines is how many works have lines of their own.
	maxLines = 6
	// slow is when it is said that nothing happens.
	slow = 3 * time.Second
	// wide is from how many columns on there are bars.
	wide = 100
)

// Lines returns what to show on a terminal of so many columns: the first line
// is about all, the others about what goes on now. Without anything it is nil.
func (o *Overview) Lines(columns int, now time.Time) []string {
	var active []*work
	for _, w := range o.works {
		if w.active() {
			active = append(active, w)
		}
	}
	if len(active) == 0 {
		return nil
	}
	var lines []string
	if head := o.head(active, columns, now); head != "" {
		lines = append(lines, head)
	}
	for _, w := range active[:min(len(active), maxLines)] {
		lines = append(lines, w.lines(columns, now)...)
	}
	if n := len(active) - maxLines; n > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", n))
	}
	if o.note != "" && now.Sub(o.noted) < noteFor {
		lines = append(lines, "  "+o.note)
	}
	for i, line := range lines {
		lines[i] = plain.Cut(plain.Line(line), columns) // the one place that all of the block goes through
	}
	return lines
}

// doing are the words for what is done.
func doing(what string) string {
	return map[string]string{
		"pull": "pulling", "squash": "squashing", "push": "pushing", "download": "downloading", "fetch": "fetching",
		"verify": "verifying", "export": "exporting", "import": "importing", "initramfs": "making the initramfs", "build": "building",
	}[what]
}

// head says how far all is. Builds alone speak for themselves.
func (o *Overview) head(active []*work, columns int, now time.Time) string {
	var verbs, images []string
	layers, ended := 0, 0
	for _, w := range o.works {
		if w.layer.Of > 0 {
			if layers++; w.ended {
				ended++
			}
			if !w.ended && !slices.Contains(images, w.layer.Image) {
				images = append(images, w.layer.Image)
			}
		}
	}
	for _, w := range active {
		if verb := doing(w.what); w.build == nil && verb != "" && !slices.Contains(verbs, verb) {
			verbs = append(verbs, verb)
		}
	}
	if len(verbs) == 0 {
		return ""
	}
	what := strings.Join(verbs, ", ")
	if len(images) > 0 {
		what += " " + plain.Cut(plain.Line(strings.Join(images, ", ")), 24)
	}
	parts := []string{what}
	if layers > 1 {
		parts = append(parts, fmt.Sprintf("%d of %d layers", ended, layers))
	}
	return strings.Join(append(parts, o.howFar(columns, now)...), "  ")
}

func (o *Overview) howFar(columns int, now time.Time) (parts []string) {
	done, total := o.bytes()
	if total == 0 {
		return nil
	}
	parts = append(parts, part(done, total), fmt.Sprintf("%d %%", 100*done/total))
	if rate := o.rate(now); rate > 0 {
		left := time.Duration(float64(total-done) / float64(rate) * float64(time.Second))
		parts = append(parts, progress.Bytes(rate)+"/s", clock(left)+" left")
	}
	if columns >= wide {
		parts = append(parts, bar(done, total))
	}
	return parts
}

func (w *work) lines(columns int, now time.Time) []string {
	if w.build != nil {
		return w.buildLines(now)
	}
	name := plain.Line(w.name)
	switch {
	case w.layer.Of > 0:
		name = fmt.Sprintf("%s, layer %d of %d", plain.Line(w.layer.Image), w.layer.N, w.layer.Of)
	case doing(w.what) == "":
		name = plain.Line(w.what + " " + w.name)
	}
	line := fmt.Sprintf("  %-32s", plain.Cut(name, 32))
	switch {
	case w.what == "squash" && w.pulled:
		line += "  squashing"
	case w.total > 0:
		line += "  " + part(w.done, w.total)
	case w.done > 0:
		line += "  " + progress.Bytes(w.done)
	}
	if still := now.Sub(w.changed); still >= slow && w.what != "squash" {
		line += fmt.Sprintf("  nothing for %s", clock(still))
	} else if columns >= wide && w.total > 0 && !(w.what == "squash" && w.pulled) {
		line = fmt.Sprintf("%-58s  %s", line, bar(w.done, w.total))
	}
	return []string{strings.TrimRight(line, " ")}
}

// buildLines are what is done, and what that printed last.
func (w *work) buildLines(now time.Time) []string {
	what := w.build.Does()
	if what == "" {
		what = "building: " + plain.Line(w.build.Reason)
	}
	lines := []string{fmt.Sprintf("%s  %s  %s", plain.Line(w.name), clock(now.Sub(w.began)), what)}
	if last := plain.Line(w.build.Line); last != "" {
		lines = append(lines, "    "+last)
	}
	return lines
}

// part says "12.1 of 40.0 MB", in one unit.
func part(done, total int64) string {
	whole := progress.Bytes(total)
	_, unit, _ := strings.Cut(whole, " ")
	some := progress.BytesIn(done, unit)
	return some + " of " + whole
}

func bar(done, total int64) string {
	const width = 24
	n := int(width * done / max(total, 1))
	return strings.Repeat("━", n) + strings.Repeat("─", width-n)
}

func clock(d time.Duration) string { return d.Round(time.Second).String() }
