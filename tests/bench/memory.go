package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A memoryPeak is how much memory a run used, in bytes. Self is the process's
// own peak, Child that of its largest child, and Sum the most that all of them
// used at one moment.
//
// It is read from /proc while they run. The kernel's ru_maxrss would not do:
// it counts what the process that started them had in memory.
type memoryPeak struct{ Self, Child, Sum int64 }

func (m memoryPeak) String() string {
	return fmt.Sprintf("%s, largest child %s, together %s", megabytes(m.Self), megabytes(m.Child), megabytes(m.Sum))
}

// samplePeriod is how often /proc is read. A process's peak is kept by the
// kernel while it lives, so only the last moment can be missed.
const samplePeriod = 10 * time.Millisecond

// withPeak runs a program and samples its memory.
func withPeak(ctx context.Context, argv ...string) (usage, error) {
	var peak memoryPeak
	u, err := observed(ctx, func(pid int, ended <-chan struct{}) {
		tick := time.NewTicker(samplePeriod)
		defer tick.Stop()
		for {
			peak.sample(pid)
			select {
			case <-ended:
				return
			case <-tick.C:
			}
		}
	}, argv...)
	u.Peak = &peak
	return u, err
}

func (m *memoryPeak) sample(pid int) {
	var sum int64
	family := map[int]bool{pid: true}
	for _, p := range processes() {
		if p.pid != pid && (!family[p.parent] || sameProgram(p.pid, pid)) {
			continue
		}
		family[p.pid] = true
		now, peak := residentSize(p.pid)
		sum += now
		if p.pid == pid {
			m.Self = max(m.Self, peak)
		} else {
			m.Child = max(m.Child, peak)
		}
	}
	m.Sum = max(m.Sum, sum)
}

type process struct{ pid, parent int }

// sameProgram tells a child that shares its parent's memory: one that has
// forked and not yet executed another program.
func sameProgram(child, parent int) bool {
	a, err1 := os.Readlink(fmt.Sprintf("/proc/%d/exe", child))
	b, err2 := os.Readlink(fmt.Sprintf("/proc/%d/exe", parent))
	return err1 == nil && err2 == nil && a == b
}

// processes lists all there are by number: parents before their children, but
// where numbers have wrapped around.
func processes() []process {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	var found []process
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name, in parentheses, may hold anything; state and parent follow.
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		pid, err1 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, err2 := strconv.Atoi(fields[1])
		if err1 == nil && err2 == nil {
			found = append(found, process{pid, parent})
		}
	}
	slices.SortFunc(found, func(a, b process) int { return a.pid - b.pid })
	return found
}

// residentSize reads what a process uses now and has used at most, in bytes;
// zero if it has ended.
func residentSize(pid int) (now, peak int64) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(data)) {
		var kB int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kB); n == 1 {
			peak = kB << 10
		}
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kB); n == 1 {
			now = kB << 10
		}
	}
	return now, peak
}
