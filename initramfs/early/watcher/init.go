package watcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/initramfs/early/child"
)

// An initSystem is asked what only the image's init knows.
type initSystem interface {
	// ended says why the boot has not ended yet, nil if it has.
	ended(ctx context.Context) error
	// active says why a service does not run.
	active(ctx context.Context, unit string) error
	// stopping reports whether the machine is being shut down.
	stopping(ctx context.Context) bool
}

// askLimit is for each question to the init's own programs.
const askLimit = 20 * time.Second

// ask runs a program of the image's and returns its first line.
func ask(ctx context.Context, argv ...string) (string, error) {
	out, err := child.Program{Argv: argv, Limit: askLimit, Output: maxOutput}.Run(ctx)
	line, _, _ := strings.Cut(string(out), "\n")
	return line, err
}

// initOf finds out which init process 1 is. proc is where proc(5) is, run where
// /run is.
func initOf(proc, run string) initSystem {
	exe, _ := os.Readlink(proc + "/1/exe")
	comm, _ := os.ReadFile(proc + "/1/comm")
	name := strings.TrimSpace(string(comm))
	switch {
	case strings.HasPrefix(filepath.Base(exe), "systemd") || strings.HasPrefix(name, "systemd") || exists(run+"/systemd/system"):
		return systemd{proc}
	case exists(run + "/openrc"):
		return openrc{run}
	case strings.HasPrefix(name, "runit"):
		return runit{proc}
	}
	return scripted{proc}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

type systemd struct{ proc string }

// ended: no job of the boot is left, default.target was reached, and so is
// boot-complete.target, which takes along what the image requires of it
// (systemd.special(7)).
func (systemd) ended(ctx context.Context) error {
	state, err := ask(ctx, "systemctl", "is-system-running")
	if state != "running" && state != "degraded" {
		return fmt.Errorf("systemd is %s", said(state, err))
	}
	if state, err := ask(ctx, "systemctl", "is-active", "default.target"); state != "active" {
		return fmt.Errorf("default.target of systemd is %s", said(state, err))
	}
	if loaded, _ := ask(ctx, "systemctl", "show", "--property=LoadState", "boot-complete.target"); loaded != "LoadState=loaded" {
		return nil // systemd before version 240
	}
	if line, err := ask(ctx, "systemctl", "start", "boot-complete.target"); err != nil {
		return fmt.Errorf("boot-complete.target of systemd is not reached: %s", said(line, err))
	}
	return nil
}

func (systemd) active(ctx context.Context, unit string) error {
	if state, err := ask(ctx, "systemctl", "is-active", "--", unit); state != "active" {
		return errors.New("it is " + said(state, err))
	}
	return nil
}

func (s systemd) stopping(ctx context.Context) bool {
	comm, _ := os.ReadFile(s.proc + "/1/comm")
	if strings.HasPrefix(string(comm), "systemd-shutdow") {
		return true
	}
	state, _ := ask(ctx, "systemctl", "is-system-running")
	return state == "stopping"
}

// said is what a program printed, or else why it failed.
func said(line string, err error) string {
	switch {
	case line != "":
		return line
	case err != nil:
		return err.Error()
	}
	return "silent"
}

type openrc struct{ run string }

// ended: the runlevel that is neither sysinit nor boot was reached, and nothing is
// being started (openrc's softlevel and rc.starting).
func (o openrc) ended(context.Context) error {
	level, _ := os.ReadFile(o.run + "/openrc/softlevel")
	switch name := strings.TrimSpace(string(level)); {
	case name == "" || name == "sysinit" || name == "boot" || exists(o.run+"/openrc/rc.starting"):
		return fmt.Errorf("OpenRC is starting its runlevel %s", name)
	}
	return nil
}

func (openrc) active(ctx context.Context, unit string) error {
	line, err := ask(ctx, "rc-service", unit, "status")
	return described(line, err)
}

func (o openrc) stopping(context.Context) bool {
	level, _ := os.ReadFile(o.run + "/openrc/softlevel")
	return strings.TrimSpace(string(level)) == "shutdown" || exists(o.run+"/openrc/rc.stopping")
}

func described(line string, err error) error {
	if err != nil && line != "" {
		err = fmt.Errorf("%w: %s", err, line)
	}
	return err
}

type runit struct{ proc string }

// ended: stage 2 runs services.
func (r runit) ended(context.Context) error {
	if _, ok := childOfInit(r.proc, "runsvdir"); !ok {
		return errors.New("runit does not run its services yet")
	}
	return nil
}

func (runit) active(ctx context.Context, unit string) error {
	line, err := ask(ctx, "sv", "check", unit)
	return described(line, err)
}

func (r runit) stopping(context.Context) bool {
	_, ok := childOfInit(r.proc, "3")
	return ok
}

// scripted is sysvinit's, busybox's, and any other.
type scripted struct{ proc string }

// ended: process 1 runs none of the scripts that it waits for when it starts. An
// init that has none has ended its boot at once.
func (s scripted) ended(context.Context) error {
	if name, ok := awaited(s.proc, "rc", "rcS", "rc.sysinit", "openrc"); ok {
		return fmt.Errorf("init still runs %s", name)
	}
	return nil
}

func (scripted) active(ctx context.Context, unit string) error {
	script := "/etc/init.d/" + unit
	if !exists(script) {
		return fmt.Errorf("this init has no services, and there is no %s", script)
	}
	line, err := ask(ctx, script, "status")
	return described(line, err)
}

// stopping: who shuts down ends all processes, the watcher too.
func (scripted) stopping(context.Context) bool { return false }

// childOfInit finds a child of process 1 by the name of its program or script.
func childOfInit(proc string, names ...string) (string, bool) {
	return find(proc, names, func(s stat) bool { return s.parent == "1" })
}

// awaited finds what process 1, or what it has forked for that, waits for. It is in
// the session of a child of process 1 that is still there: what a script left
// running in the background looks the same, and is not.
func awaited(proc string, names ...string) (string, bool) {
	return find(proc, names, func(s stat) bool { return statOf(proc, s.session).parent == "1" })
}

// find finds a process whose program or script has one of the names.
func find(proc string, names []string, is func(stat) bool) (string, bool) {
	entries, _ := os.ReadDir(proc)
	for _, e := range entries {
		pid := e.Name()
		if pid[0] < '1' || pid[0] > '9' || !is(statOf(proc, pid)) {
			continue
		}
		argv, _ := os.ReadFile(filepath.Join(proc, pid, "cmdline"))
		words := strings.Split(string(argv), "\x00")
		for _, word := range words[:min(len(words), 3)] { // sh -e script
			if slices.Contains(names, filepath.Base(word)) {
				return word, true
			}
		}
	}
	return "", false
}

// A stat is where a process belongs.
type stat struct{ parent, session string }

// statOf reads "pid (comm) state ppid pgrp session …" (proc_pid_stat(5)).
func statOf(proc, pid string) stat {
	text, _ := os.ReadFile(filepath.Join(proc, pid, "stat"))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 4 {
		return stat{}
	}
	return stat{parent: fields[1], session: fields[3]}
}
