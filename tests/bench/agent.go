package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/gitboot/gitboot/reconciler/event"
)

// An agent is gitboot's own, following a world's repo.
type agent struct {
	world  *world
	config string
	// builds says that it never comes to rest.
	builds bool
	cmd    *exec.Cmd
	log    bytes.Buffer
}

// follow starts an agent with settings in its agent.toml, and waits until it has
// converged.
func (w *world) follow(ctx context.Context, repo, settings string, builds bool) (*agent, error) {
	dir := filepath.Dir(w.stage)
	a := &agent{world: w, config: filepath.Join(dir, "agent.toml"), builds: builds}
	settings = fmt.Sprintf("repo = %q\nmachine = \"bench\"\nstage = %q\nboot = %q\nstage_location = %q\nsocket = %q\n%s",
		repo, w.stage, w.boot, location, filepath.Join(dir, "agent.sock"), settings)
	if err := os.WriteFile(a.config, []byte(settings), 0o600); err != nil {
		return nil, err
	}
	a.cmd = exec.Command(w.site.gitboot, "agent", "--config", a.config)
	a.cmd.Stderr = &a.log
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	if err := a.settle(ctx); err != nil {
		return nil, errors.Join(err, a.end())
	}
	return a, nil
}

// settle waits until there is nothing left to do, but to build.
func (a *agent) settle(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		var err error
		if a.builds {
			err = a.onlyBuilds(patience)
		} else {
			_, err = command(patience, a.world.site.gitboot, "reconcile", "--now", "--wait", "--config", a.config)
		}
		if err == nil || patience.Err() != nil || !errors.Is(err, errNotYet) && !strings.Contains(err.Error(), "no agent is running") {
			return err
		}
	}
}

var errNotYet = errors.New("the agent does something else than to build")

// onlyBuilds is errNotYet unless the agent builds and does nothing else.
func (a *agent) onlyBuilds(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, a.world.site.gitboot, "events", "--all", "--json", "--config", a.config).Output()
	if err != nil {
		return errNotYet
	}
	machine, workshop := "", ""
	for line := range strings.Lines(string(out)) {
		var e event.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return err
		}
		switch {
		case e.Kind != event.Began && e.Kind != event.Ended:
		case e.Part == event.Machine:
			machine = string(e.Kind)
		case e.Part == event.Workshop:
			workshop = string(e.Kind)
		}
	}
	if machine != string(event.Ended) || workshop != string(event.Began) {
		return errNotYet
	}
	return nil
}

func (a *agent) end() error {
	err := errors.Join(a.cmd.Process.Signal(syscall.SIGTERM), a.cmd.Wait())
	if err != nil {
		err = fmt.Errorf("%w: %s", err, lastBytes(a.log.String(), 2000))
	}
	return err
}

// greet commits another greeting and returns how long it takes from the start of
// git commit until the menu is another; after, if given, is run when git has ended.
func (a *agent) greet(ctx context.Context, word string, after func(context.Context) error) (time.Duration, error) {
	w := a.world
	if err := w.repo.Replace("gitboot.toml", "hello", "hello "+word); err != nil {
		return 0, err
	}
	if _, err := w.repo.Git(ctx, "add", "--all"); err != nil {
		return 0, err
	}
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		return 0, err
	}
	defer watch.Close()
	if err := watch.Add(filepath.Join(w.stage, "boot")); err != nil {
		return 0, err
	}
	before := w.menu()
	patience, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	if _, err := w.repo.Git(ctx, "commit", "--quiet", "--message=Greet "+word); err != nil {
		return 0, err
	}
	if after != nil {
		if err := after(ctx); err != nil {
			return 0, err
		}
	}
	for w.menu() == before {
		select {
		case <-patience.Done():
			return 0, fmt.Errorf("the menu stays as it was: %s", lastBytes(a.log.String(), 2000))
		case <-watch.Events:
		}
	}
	took := time.Since(began)
	return took, a.settle(ctx) // so that the next one finds it at rest
}

// A cost is what a process has used so far, and holds now.
type cost struct {
	cpu      time.Duration
	wakeups  int
	resident int64
	private  int64
}

// cost reads what the agent has cost (proc(5)).
func (a *agent) cost() (c cost, err error) {
	dir := fmt.Sprintf("/proc/%d", a.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return c, err
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return c, fmt.Errorf("%s/stat has %d fields", dir, len(fields))
	}
	user, errUser := strconv.ParseInt(fields[11], 10, 64)
	system, errSystem := strconv.ParseInt(fields[12], 10, 64)
	c.cpu = time.Duration(user+system) * 10 * time.Millisecond
	c.resident, c.private = statusBytes(dir+"/status", "VmRSS"), statusBytes(dir+"/status", "RssAnon")
	tasks, err := filepath.Glob(dir + "/task/*/status")
	for _, task := range tasks {
		c.wakeups += int(statusNumber(task, "voluntary_ctxt_switches"))
	}
	return c, errors.Join(err, errUser, errSystem)
}

func statusBytes(path, field string) int64 { return statusNumber(path, field) * 1024 }

// statusNumber is a field of a status file, 0 if the task has ended.
func statusNumber(path, field string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return n
		}
	}
	return 0
}
