package notify

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script is a command that runs lines of shell.
func script(t *testing.T, lines string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "command")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o700))
	return []string{path, "an argument", "$(id)"}
}

// A command has the event on its input and its arguments as they are; what it
// prints is passed on, made harmless.
func TestCommand(t *testing.T) {
	t.Setenv("SECRET_OF_THE_AGENT", "x")
	var printed string
	o := Options{Command: script(t, `cat; echo "$# $2 $SECRET_OF_THE_AGENT"; pwd; printf '\033[31m'`), Print: func(line string) { printed = line }}
	must(t, o.Targets()[0].Tell(t.Context(), failed))
	if !strings.HasPrefix(printed, `{"time":`) || !strings.Contains(printed, `"message":"image \"desktop\" fails: no such tag`) || !strings.HasSuffix(printed, "} 2 $(id)  /") {
		t.Errorf("printed is %q", printed)
	}
	o.Command = script(t, "exec < /dev/null; echo the pager is off >&2; exit 3")
	if err := o.command(t.Context(), failed); err == nil || !strings.Contains(err.Error(), "exit status 3: the pager is off") {
		t.Error(err)
	}
	o.Command = script(t, "head -c 1000000 /dev/zero | tr '\\0' x")
	if err := o.command(t.Context(), failed); err != nil || len(printed) > maxOutput {
		t.Errorf("%d bytes are kept: %v", len(printed), err)
	}
	o.Command = []string{"/nonexistent/command"}
	if err := o.command(t.Context(), failed); err == nil {
		t.Error("a command that is not there is no error")
	}
}

// gone waits for a process to be no more.
func gone(ctx context.Context, pid string) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if _, state, _ := strings.Cut(string(stat), ") "); err != nil || strings.HasPrefix(state, "Z") {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// With a command all ends that it has started, however it ends.
func TestCommandLeavesNothing(t *testing.T) {
	bounded, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	for what, end := range map[string]string{"it ends": "exit 0", "it is stopped": "exec sleep 1000"} {
		pids := filepath.Join(t.TempDir(), "pids")
		o := Options{Command: script(t, "sleep 1000 & echo $! > "+pids+".new; mv "+pids+".new "+pids+"; "+end)}
		ctx, cancel := context.WithCancelCause(bounded)
		if what == "it is stopped" {
			go func() {
				for tick := time.Tick(5 * time.Millisecond); ; <-tick {
					if _, err := os.Stat(pids); err == nil || bounded.Err() != nil {
						cancel(errors.New("stopped"))
						return
					}
				}
			}()
		}
		err := o.command(ctx, failed)
		if stopped := err != nil && strings.Contains(err.Error(), "stopped"); stopped != (what == "it is stopped") {
			t.Errorf("%s: %v", what, err)
		}
		cancel(nil)
		pid, err := os.ReadFile(pids)
		must(t, err)
		if !gone(bounded, strings.TrimSpace(string(pid))) {
			t.Errorf("%s: process %s is still there", what, pid)
		}
	}
}
