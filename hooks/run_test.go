package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/tests/need"
)

// A buffer takes what several goroutines log.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func textLog() (*slog.Logger, *buffer) {
	b := new(buffer)
	return slog.New(slog.NewTextHandler(b, nil)), b
}

func sh(body string) kind.Script {
	return kind.Script{Name: "s.sh", Content: []byte("#!/bin/sh\nset -e\n" + body)}
}

// runScripts renders one hook of run scripts.
func runScripts(t *testing.T, scripts ...kind.Script) (map[string]entry, string, error) {
	t.Helper()
	log, text := textLog()
	e, _, err := renderInput(t, Input{
		Machine: "m", Image: "i", Tag: "t", StateDir: t.TempDir(), Log: log,
		Hooks: []kind.Hook{{Name: "h", Run: scripts}},
	})
	return e, text.String(), err
}

func TestRunCollects(t *testing.T) {
	e, log, err := runScripts(t,
		sh(`cd $GITBOOT_OUT; mkdir -p etc root var/empty; echo one; echo two >&2
echo x >etc/x; chmod 4711 etc/x; ln etc/x etc/y; ln -s /etc/shadow etc/s; ln -s / etc/all; mkfifo etc/p
mkdir -m 1770 srv`),
		sh(`cp $GITBOOT_OUT/etc/x $GITBOOT_OUT/etc/z; chmod 640 $GITBOOT_OUT/etc/z`))
	if err != nil {
		t.Fatal(err)
	}
	wantEntry(t, e, "/etc/x", "0 4711 0:0 x\n")
	wantEntry(t, e, "/etc/y", "0 4711 0:0 x\n")
	wantEntry(t, e, "/etc/z", "0 0640 0:0 x\n")
	wantEntry(t, e, "/etc/s", "2 0777 0:0 /etc/shadow")
	wantEntry(t, e, "/etc/all", "2 0777 0:0 /")
	wantEntry(t, e, "/etc/p", "6 0644 0:0 ")
	wantEntry(t, e, "/root", "5 0700 0:0 ")
	wantEntry(t, e, "/srv", "5 1770 0:0 ")
	wantEntry(t, e, "/var/empty", "5 0755 0:0 ")
	for _, line := range []string{"says: one", "says: two"} {
		if !strings.Contains(log, line) {
			t.Errorf("log lacks %q: %s", line, log)
		}
	}
}

func TestRunEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_THE_AGENT", "x")
	s := sh(`umask >$GITBOOT_OUT/umask; ls -A >$GITBOOT_OUT/dir; cat >>$GITBOOT_OUT/dir
env | sed "s,$TMPDIR,DIR,;s,$GITBOOT_OUT,OUT,;s,$GITBOOT_STATE,STATE," | sort >$GITBOOT_OUT/env`)
	s.Env = map[string]string{"MINE": "a b"}
	e, _, err := runScripts(t, s)
	if err != nil {
		t.Fatal(err)
	}
	want := `GITBOOT_HOOK=h
GITBOOT_IMAGE=i
GITBOOT_MACHINE=m
GITBOOT_OUT=OUT
GITBOOT_STATE=STATE
GITBOOT_TAG=t
HOME=DIR
LANG=C.UTF-8
MINE=a b
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PWD=DIR
SOURCE_DATE_EPOCH=0
TMPDIR=DIR
`
	if got := e["/env"].content; got != want {
		t.Errorf("environment:\n%s", got)
	}
	wantEntry(t, e, "/dir", "0 0644 0:0 ")
	wantEntry(t, e, "/umask", "0 0644 0:0 0022\n")

	s.Env = map[string]string{"GITBOOT_OUT": "/etc"}
	_, _, err = runScripts(t, s)
	wantError(t, err, "GITBOOT_OUT")
}

func TestRunState(t *testing.T) {
	in := Input{StateDir: t.TempDir(), Hooks: []kind.Hook{{Name: "h", Run: []kind.Script{
		sh(`test -e $GITBOOT_STATE/k || echo once >>$GITBOOT_STATE/k; cp $GITBOOT_STATE/k $GITBOOT_OUT/k`)}}}}
	for range 2 {
		wantEntry(t, mustRender(t, in), "/k", "0 0644 0:0 once\n")
	}
}

func TestRunFails(t *testing.T) {
	_, _, err := runScripts(t, sh("echo no such luck; exit 3"))
	wantError(t, err, `hook "h"`, `script "s.sh"`, "exit status 3", "no such luck")
	_, _, err = runScripts(t, kind.Script{Name: "s", Content: []byte("echo hi\n")})
	wantError(t, err, "#!")
	_, _, err = runScripts(t, kind.Script{Name: "s", Content: []byte("#!/no/such/shell -e\n")})
	wantError(t, err, "/no/such/shell")
	_, _, err = runScripts(t, sh("mkdir $GITBOOT_OUT/.wh.x"))
	wantError(t, err, ".wh.")
}

func TestRunRefusesSockets(t *testing.T) {
	need.Program(t, "ssh-agent")
	_, _, err := runScripts(t, sh(`ssh-agent -a $GITBOOT_OUT/s >/dev/null`))
	wantError(t, err, "$GITBOOT_OUT/s", "cannot be in a layer")
}

// TestRunHangs has scripts that would go on for ever, in every way to escape:
// as a child, in a session of its own, with the output closed or open.
func TestRunHangs(t *testing.T) {
	for name, body := range map[string]string{
		"itself":   "sleep 1000",
		"child":    "sleep 1000 & wait",
		"session":  "setsid sleep 20 & sleep 1000",
		"ignoring": "trap '' TERM INT HUP; while :; do sleep 1000 || :; done",
	} {
		t.Run(name, func(t *testing.T) {
			s := sh("echo begun\n" + body)
			s.Timeout = 300 * time.Millisecond
			begun := time.Now()
			_, _, err := runScripts(t, s)
			wantError(t, err, "did not end within 300ms", "begun")
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("it took %s to kill it", took)
			}
		})
	}
}

// TestRunLeavesNothing checks that what a script starts ends with it.
func TestRunLeavesNothing(t *testing.T) {
	mark := fmt.Sprintf("1%09d", time.Now().UnixNano()%1e9)
	session := ""
	if os.Geteuid() == 0 {
		session = "setsid sleep " + mark + " &\n"
	}
	begun := time.Now()
	_, _, err := runScripts(t, sh(session+"sleep "+mark+" &\n"))
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if data, _ := os.ReadFile(f); bytes.Contains(data, []byte("sleep\x00"+mark)) {
			t.Errorf("%s: sleep is still running", f)
		}
	}
}

func TestRunCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) { cancel() }), nil))
	_, err := Render(ctx, Input{TempDir: t.TempDir(), Log: log, Hooks: []kind.Hook{{Name: "h", Run: []kind.Script{sh("echo go; sleep 1000")}}}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestRunFloods(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, log, err := runScripts(t, sh("head -c 50000000 /dev/zero | tr '\\0' x; echo; yes | head -n 300000; echo last; false"))
	runtime.GC()
	runtime.ReadMemStats(&after)
	wantError(t, err, "last")
	if len(err.Error()) > 10000 || len(log) > 2_000_000 {
		t.Errorf("error of %d bytes, log of %d", len(err.Error()), len(log))
	}
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 40<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
}

func TestRunWritesOutside(t *testing.T) {
	needConfinement(t)
	outside := filepath.Join(t.TempDir(), "outside")
	_, _, err := runScripts(t, sh("echo x >"+outside))
	wantError(t, err, "Read-only file system", "$GITBOOT_OUT")
	if _, err := os.Stat(outside); err == nil {
		t.Error("it was written")
	}
	_, _, err = runScripts(t, sh("mount -o remount,bind,rw / 2>&1 || mount -t tmpfs none /mnt"))
	wantError(t, err, "exit status")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Errorf("the test itself can no longer write: %v", err)
	}
}

func TestRunKeepsOwners(t *testing.T) {
	need.Root(t)
	e, _, err := runScripts(t, sh("cd $GITBOOT_OUT; echo x >f; chown 12:34 f; mkdir d; chown 5 d; ln -s x l; chown -h 6:7 l"))
	if err != nil {
		t.Fatal(err)
	}
	wantEntry(t, e, "/f", "0 0644 12:34 x\n")
	wantEntry(t, e, "/d", "5 0755 5:0 ")
	wantEntry(t, e, "/l", "2 0777 6:7 x")
	_, _, err = runScripts(t, sh("mknod $GITBOOT_OUT/d c 0 0"))
	wantError(t, err, "cannot be in a layer")
}
