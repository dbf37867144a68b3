package watcher

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/kmsg"
)

// An initAs says what a test wants it to.
type initAs struct{ initSystem }

func (initAs) ended(context.Context) error { return nil }

func judge(t *testing.T, h deployment.Health, decided func() error) (time.Duration, error) {
	t.Helper()
	w := &watcher{health: h, log: new(kmsg.Logger), began: time.Now(), init: func() initSystem { return initAs{} }, decided: func() error { return nil }}
	if decided != nil {
		w.decided = decided
	}
	err := w.judge(t.Context())
	return time.Since(w.began), err
}

func shell(script string) *deployment.Checks {
	return &deployment.Checks{Commands: [][]string{{"sh", "-c", script}}}
}

// What is to be found before a deadline has time for it however busy the computer is. All
// wait side by side.
func TestJudge(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		health deployment.Health
		want   string
	}{
		"at once":         {deployment.Health{After: deployment.AfterStart, Deadline: 20}, ""},
		"init says so":    {deployment.Health{After: deployment.AfterDefault, Deadline: 20}, ""},
		"no time for it":  {deployment.Health{After: deployment.AfterDefault, Deadline: 1}, "it was not well within 1 s: the boot has not ended: init has just started"},
		"well in time":    {deployment.Health{After: deployment.AfterStart, Deadline: 20, Required: shell("mkdir " + dir + "/a || exit 0; exit 1")}, ""},
		"settles":         {deployment.Health{After: deployment.AfterStart, Deadline: 20, Settle: 1, Required: shell("true")}, ""},
		"never well":      {deployment.Health{After: deployment.AfterStart, Deadline: 6, Required: shell("echo no; exit 3")}, "it was not well within 6 s: command sh -c echo no; exit 3: exit status 3: no"},
		"hangs":           {deployment.Health{After: deployment.AfterStart, Deadline: 1, Required: shell("sleep 600")}, "it was not well within 1 s: command sh -c sleep 600: it had not ended by then"},
		"hangs later":     {deployment.Health{After: deployment.AfterStart, Deadline: 6, Required: shell("mkdir " + dir + "/c && exit 3; sleep 600")}, ": exit status 3"},
		"ill again":       {deployment.Health{After: deployment.AfterStart, Deadline: 6, Settle: 1, Required: shell("mkdir " + dir + "/b")}, "it was not well within 6 s: command sh -c mkdir"},
		"no such program": {deployment.Health{After: deployment.AfterStart, Deadline: 6, Required: &deployment.Checks{Commands: [][]string{{"no-such-program"}}}}, "no-such-program"},
		"no host":         {deployment.Health{After: deployment.AfterStart, Deadline: 6, Required: &deployment.Checks{Hosts: []string{"127.0.0.1:1"}}}, "host 127.0.0.1:1: connecting to 127.0.0.1:1: connection refused"},
		"no name":         {deployment.Health{After: deployment.AfterStart, Deadline: 6, Required: &deployment.Checks{Hosts: []string{"nosuch.invalid"}}}, "getent of the image does not resolve nosuch.invalid"},
	} {
		all.Go(func() {
			took, err := judge(t, c.health, nil)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
			if limit := time.Duration(c.health.Deadline)*time.Second + 3*time.Second; took > limit {
				t.Errorf("%s: it took %v", name, took)
			}
			if took < time.Duration(c.health.Settle)*time.Second {
				t.Errorf("%s: it did not settle within %v", name, took)
			}
		})
	}
	all.Wait()
}

// Somebody else's verdict ends it, whatever is waited for.
func TestDecidedElsewhere(t *testing.T) {
	for _, h := range []deployment.Health{
		{After: deployment.AfterStart, Deadline: 60, Required: shell("false")},
		{After: deployment.AfterStart, Deadline: 60, Confirm: deployment.ConfirmOutside, ConfirmWithin: 60},
	} {
		if took, err := judge(t, h, func() error { return errDecided }); !errors.Is(err, errDecided) || took > 10*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	}
}

func TestConfirm(t *testing.T) {
	if _, err := os.Lstat(deployment.ConfirmFile); err == nil {
		t.Fatal("this machine is being confirmed")
	}
	h := deployment.Health{After: deployment.AfterStart, Deadline: 5, Confirm: deployment.ConfirmOutside, ConfirmWithin: 1}
	if _, err := judge(t, h, nil); err == nil || !strings.Contains(err.Error(), "nobody confirmed it within 1 s: /run/gitboot/confirm did not come") {
		t.Error(err)
	}
	status := http.StatusServiceUnavailable
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	defer s.Close()
	h.ConfirmURL, h.ConfirmWithin = s.URL+"/up", 5
	if _, err := judge(t, h, nil); err == nil || !strings.Contains(err.Error(), "status 503") {
		t.Error(err)
	}
	status = http.StatusOK
	if _, err := judge(t, h, nil); err != nil {
		t.Error(err)
	}
}

// A proc is the part of proc(5) that is looked at.
func proc(t *testing.T, comm string, processes map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("1/comm", comm+"\n")
	write("version", "Linux")
	for pid, argv := range processes {
		id, parent, _ := strings.Cut(pid, " of ")
		parent, session, led := strings.Cut(parent, " in ")
		if !led {
			session = id
		}
		write(id+"/stat", id+" (a b) c) S "+parent+" 1 "+session+" 0")
		write(id+"/cmdline", strings.ReplaceAll(argv, " ", "\x00")+"\x00")
	}
	return dir
}

func TestInits(t *testing.T) {
	for name, c := range map[string]struct {
		comm      string
		processes map[string]string
		run       map[string]string
		ended     bool
	}{
		"busybox boots":    {"init", map[string]string{"7 of 1": "/bin/sh /etc/init.d/rcS"}, nil, false},
		"busybox is up":    {"init", map[string]string{"7 of 1": "/sbin/getty 38400 tty1", "8 of 7": "/bin/sh /root/rcS.d"}, nil, true},
		"sysvinit boots":   {"init", map[string]string{"7 of 1": "/bin/sh -e /etc/init.d/rc 2"}, nil, false},
		"sysvinit's fork":  {"init", map[string]string{"7 of 1": "init boot", "8 of 7 in 7": "/bin/sh /etc/init.d/rcS"}, nil, false},
		"left behind":      {"init", map[string]string{"8 of 1 in 7": "/bin/sh /etc/rc", "9 of 1": "getty"}, nil, true},
		"another's rc":     {"init", map[string]string{"8 of 7": "sshd", "9 of 8 in 8": "/bin/sh /etc/rc"}, nil, true},
		"runit's stage 1":  {"runit", map[string]string{"7 of 1": "/bin/sh /etc/runit/1"}, nil, false},
		"runit's stage 2":  {"runit", map[string]string{"7 of 1": "runsvdir -P /etc/service"}, nil, true},
		"OpenRC's boot":    {"init", nil, map[string]string{"openrc/softlevel": "boot\n"}, false},
		"OpenRC starts":    {"init", nil, map[string]string{"openrc/softlevel": "default\n", "openrc/rc.starting/x": ""}, false},
		"OpenRC's default": {"openrc-init", nil, map[string]string{"openrc/softlevel": "default\n"}, true},
		"no init":          {"sh", nil, nil, true},
	} {
		run := t.TempDir()
		for file, text := range c.run {
			path := filepath.Join(run, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		i := initOf(proc(t, c.comm, c.processes), run)
		if err := i.ended(t.Context()); (err == nil) != c.ended {
			t.Errorf("%s: %T says %v", name, i, err)
		}
	}
	if _, ok := initOf(proc(t, "systemd", nil), t.TempDir()).(systemd); !ok {
		t.Error("systemd is not known by its name")
	}
}
