package console

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// inputFile lists what the kernel takes input from: a paragraph for each device.
const inputFile = "/proc/bus/input/devices"

const (
	// keyboardWait is how long a screen waits for a keyboard before it asks: what is typed
	// on one whose driver is not there yet is lost.
	keyboardWait = 5 * time.Second
	// keyboardLook is how often it is looked for one.
	keyboardLook = 200 * time.Millisecond
)

// isScreen knows the virtual terminals that the keyboards of a machine type on, by their
// devices: tty0, and not ttyS0.
func isScreen(path string) bool {
	number, ok := strings.CutPrefix(path, "/dev/tty")
	_, err := strconv.Atoi(number)
	return ok && err == nil
}

// invite puts the question where keyboards type: once one is there, after a while without
// one all the same, and once more when another has come. What it cannot put is not read
// either, which tells why.
func (q inquiry) invite(ctx context.Context, put func() error) {
	look, limit := time.NewTicker(keyboardLook), time.NewTimer(keyboardWait)
	defer look.Stop()
	defer limit.Stop()
	there, ask := q.there, len(q.there) > 0
	for {
		if ask && put() != nil {
			return
		}
		select {
		case <-look.C:
			now := keyboards(q.inputs)
			more := beyond(now, there)
			for _, name := range more {
				q.came(name)
			}
			there, ask = now, len(more) > 0
		case <-limit.C:
			ask = len(there) == 0
		case <-ctx.Done():
			return
		}
	}
}

// keyboards are the names of those that are there, by a file such as inputFile.
func keyboards(file string) (names []string) {
	text, _ := os.ReadFile(file) // of a kernel without input there is none
	for paragraph := range strings.SplitSeq(string(text), "\n\n") {
		name, keys := "", ""
		for line := range strings.Lines(paragraph) {
			line = strings.TrimSpace(line)
			if rest, ok := strings.CutPrefix(line, "N: Name="); ok {
				name = strings.Trim(rest, `"`)
			}
			if rest, ok := strings.CutPrefix(line, "B: KEY="); ok {
				keys = rest
			}
		}
		if isKeyboard(keys) {
			names = append(names, name)
		}
	}
	return names
}

// isKeyboard tells by the bits of a device's keys, in words of which the last is the
// lowest: as udev has it, a keyboard has all of the first 31 keys, from escape to S.
func isKeyboard(keys string) bool {
	words := strings.Fields(keys)
	if len(words) == 0 {
		return false
	}
	const first = 0xfffffffe
	low, err := strconv.ParseUint(words[len(words)-1], 16, 64)
	return err == nil && low&first == first
}

// beyond are those of the names that are not among others, of which each counts once.
func beyond(names, others []string) (more []string) {
	others = slices.Clone(others)
	for _, name := range names {
		if i := slices.Index(others, name); i >= 0 {
			others = slices.Delete(others, i, i+1)
			continue
		}
		more = append(more, name)
	}
	return more
}
