package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/qemu"
)

// An Outcome is how a rehearsal went.
type Outcome struct {
	// Good is that the watcher found the deployment well; Reason says why it is
	// not, Warnings what should have been well and was not.
	Good     bool
	Reason   string
	Warnings []string
	// Took is how long it was from starting the machine until then.
	Took  time.Duration
	Accel qemu.Accel
	// Console are the last lines that the machine printed.
	Console []string
}

const (
	// told is how many of its last lines are told of a machine that did not come up.
	told = 15
	// look is how often the disk is looked at for a verdict.
	look = time.Second
	// slack is how long a kernel and the watcher's restart may take, besides what
	// the watcher waits.
	slack = 3 * time.Minute
	// shown is how many lines of the console an outcome has.
	shown = 40
)

// Last are the last lines of the console, as many as are told of a machine that did not
// come up.
func (o Outcome) Last() []string { return o.Console[max(0, len(o.Console)-told):] }

// Limit is the longest that judging a deployment may take.
func Limit(h deployment.Health) time.Duration {
	return time.Duration(h.Settle+h.Deadline+h.ConfirmWithin)*time.Second + slack
}

// errLate ends a machine that nobody has judged in time.
var errLate = errors.New("it was not judged in time")

// Judge boots a deployment as one on trial until it is judged, and ends the
// machine then. It fails only where that could not be found out.
func Judge(ctx context.Context, d Deployment, o Options) (Outcome, error) {
	p, err := Prepare(ctx, d, true, o)
	if err != nil {
		return Outcome{}, err
	}
	out, err := p.Judge(ctx)
	return out, errors.Join(err, p.Close())
}

// Judge runs the machine until it is judged. Who confirms boots from outside is not
// waited for.
func (p *Prepared) Judge(ctx context.Context) (out Outcome, err error) {
	m, err := p.machine(ctx)
	if err != nil {
		return out, err
	}
	limit := Limit(p.deployment.Manifest.Judged())
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errLate)
	defer cancel()
	console, began := qemu.NewConsole(p.options.Log), time.Now()
	m.Console = p.options.console(console)
	boot, err := untilJudged(ctx, m)
	out = Outcome{
		Good: boot.Verdict == deployment.BootGood, Reason: boot.Reason, Warnings: boot.Warnings,
		Took: time.Since(began), Accel: m.Accel, Console: console.Last(shown),
	}
	switch {
	case errors.Is(err, errLate):
		out.Reason, err = fmt.Sprintf("it was not judged within %s: process 1 did not get as far, or is of a gitboot that leaves no watcher", limit), nil
	case err == nil && boot.Verdict == "":
		out.Reason = "the machine ended before it was judged"
		if why, panicked := panicIn(console.Last(math.MaxInt)); panicked {
			out.Reason = "the kernel panicked: " + why
		}
	}
	return out, errors.Join(err, console.Err())
}

// panicIn returns what a kernel panicked of, if it did, from all lines that are
// remembered: registers and a trace of the stack follow it, which may be more
// than are shown.
func panicIn(lines []string) (why string, panicked bool) {
	for _, line := range lines {
		if _, why, panicked = strings.Cut(line, "Kernel panic - not syncing: "); panicked {
			break
		}
	}
	return why, panicked
}

// untilJudged runs a machine until it has ended or its disk holds a verdict.
func untilJudged(ctx context.Context, m qemu.Options) (deployment.Boot, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- qemu.Run(running, m) }()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			qemu.Recover(ctx, m.Disk)
			return verdict(ctx, m.Disk), err
		case <-ticker.C:
			boot, err := verdict(ctx, m.Disk), qemu.Starved(m.Disk)
			if boot.Verdict == "" && err == nil {
				continue
			}
			stop()
			if <-ended; boot.Verdict != "" {
				err = nil
			}
			return boot, err
		}
	}
}

// verdict reads what the watcher, or process 1, has left on a disk. What is half
// written is no verdict yet.
func verdict(ctx context.Context, disk string) (judged deployment.Boot) {
	files, err := qemu.ReadFolder(ctx, disk, stagePath+"/"+deployment.BootsDir)
	if err != nil {
		return judged
	}
	for _, text := range files {
		if boot, err := deployment.ParseBoot([]byte(text)); err == nil && boot.Verdict != "" && !boot.Started.Before(judged.Started) {
			judged = boot
		}
	}
	return judged
}
