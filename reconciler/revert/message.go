package revert

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source/proposal"
	"github.com/gitboot/gitboot/reconciler/state"
)

// Bounds of what is told of a log.
const (
	maxLines   = 20
	maxColumns = 160
)

// message says which machine takes back what, and why.
func message(machine string, r state.Revert, log string, named []proposal.Reverted, count int) string {
	var b strings.Builder
	what := fmt.Sprintf("%q", plain.Cut(plain.Line(named[0].Subject), 50))
	if count > 1 {
		what = fmt.Sprintf("%d commits up to %s", count, plan.Short(r.Bad))
	}
	fmt.Fprintf(&b, "Revert %s: %s does not boot it\n\n", what, machine)
	fmt.Fprintf(&b, "Of image %s, generation %d, staged for commit\n%s\non machine %s, proved bad:\n\n%s\n\n", r.Image, r.Generation, r.Bad, machine, indent(Hidden(plain.Line(r.Reason))))
	fmt.Fprintf(&b, "The files are those of commit\n%s\nwhich was applied before. Taken back:\n\n", r.Good)
	for _, n := range named {
		fmt.Fprintf(&b, "    %s %s\n", plan.Short(n.Hash), plain.Cut(plain.Line(n.Subject), maxColumns))
	}
	if more := count - len(named); more > 0 {
		fmt.Fprintf(&b, "    and %d more\n", more)
	}
	if lines := ends(log); len(lines) > 0 {
		fmt.Fprintf(&b, "\nThe kernel's log ended with:\n\n%s\n", indent(strings.Join(lines, "\n")))
	}
	return b.String()
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

// ends are the last lines of a log, fit to be read by anybody who reads the repo.
func ends(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if line = plain.Cut(Hidden(plain.Line(line)), maxColumns); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(len(lines)-maxLines, 0):]
}

// Hidden is a line without what may be a secret: values of what is called one, what is
// before the @ of an address, and the kernel's command line.
func Hidden(line string) string {
	if before, _, found := strings.Cut(line, "ommand line:"); found {
		return before + "ommand line: (not told)"
	}
	line = secrets().ReplaceAllString(line, "$1(hidden)")
	return users().ReplaceAllString(line, "$1(hidden)@")
}

var (
	secrets = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)([a-z0-9_.-]*(?:pass|secret|token|key|credential|authorization)[a-z0-9_.-]*\s*[=:]\s*)(?:(?:bearer|basic|token)\s+)?\S+`)
	})
	users = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(://)[^/@\s]+@`) })
)
