package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A usage is what one run cost. CPU is user and system time of the process and
// of all that it waited for.
type usage struct {
	Wall, CPU time.Duration
	Peak      *memoryPeak `json:",omitempty"`
}

// A side is one of the two things that are compared.
type side struct {
	// command is what a reader would type.
	command string
	// prepare is not measured; may be nil.
	prepare func(ctx context.Context, round int) error
	run     func(ctx context.Context, round int) (usage, error)
}

// A pair is one run of each.
type pair struct{ Ours, Theirs usage }

func (p pair) ours() usage   { return p.Ours }
func (p pair) theirs() usage { return p.Theirs }

// runPairs runs ours and theirs in turn. A first pair is not counted: it fills
// the page cache for both.
func runPairs(ctx context.Context, n int, ours, theirs side) ([]pair, error) {
	var pairs []pair
	for round := range n + 1 {
		a, err := ours.once(ctx, round)
		if err != nil {
			return nil, err
		}
		b, err := theirs.once(ctx, round)
		if err != nil {
			return nil, err
		}
		if round == 0 {
			continue
		}
		fmt.Printf("    %2d: %s | %s\n", round, a, b)
		pairs = append(pairs, pair{a, b})
	}
	return pairs, nil
}

// runAlone runs one side several times.
func runAlone(ctx context.Context, n int, ours side) ([]pair, error) {
	var pairs []pair
	for round := range n {
		u, err := ours.once(ctx, round)
		if err != nil {
			return nil, err
		}
		fmt.Printf("    %2d: %s\n", round+1, u)
		pairs = append(pairs, pair{Ours: u})
	}
	return pairs, nil
}

// once prepares, lets the disks come to rest, and runs.
func (s side) once(ctx context.Context, round int) (usage, error) {
	if s.prepare != nil {
		if err := s.prepare(ctx, round); err != nil {
			return usage{}, err
		}
	}
	unix.Sync()
	return s.run(ctx, round)
}

func (u usage) String() string {
	s := fmt.Sprintf("%s (%s of processor)", seconds(u.Wall.Seconds()), seconds(u.CPU.Seconds()))
	if u.Peak != nil {
		s += ", " + u.Peak.String()
	}
	return s
}

// command runs a program to its end and measures it whole.
func command(ctx context.Context, argv ...string) (usage, error) {
	return observed(ctx, nil, argv...)
}

// script runs a shell script, as a user would type it.
func script(ctx context.Context, text string) (usage, error) {
	return command(ctx, "bash", "-e", "-o", "pipefail", "-c", text)
}

// observed runs a program while watch, if given, watches its process.
func observed(ctx context.Context, watch func(pid int, ended <-chan struct{}), argv ...string) (usage, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stderr = &stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return usage{}, err
	}
	ended, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		if watch != nil {
			watch(cmd.Process.Pid, ended)
		}
	}()
	err := cmd.Wait()
	u := usage{Wall: time.Since(began)}
	close(ended)
	<-watched
	if err != nil {
		return u, fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, lastBytes(stderr.String(), 2000))
	}
	u.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return u, nil
}

func lastBytes(s string, n int) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-n):]
}

// medianRatio is the median of ours by theirs, pair by pair.
func medianRatio(pairs []pair) float64 {
	var ratios []float64
	for _, p := range pairs {
		ratios = append(ratios, p.Ours.Wall.Seconds()/p.Theirs.Wall.Seconds())
	}
	return median(ratios)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return (v[n/2-1] + v[n/2]) / 2
}
