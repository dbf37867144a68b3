package hooks

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/hooks/confine"
	"github.com/gitboot/gitboot/hooks/kind"
)

// confined runs a script of root's and returns what it left.
func confined(t *testing.T, body string) (map[string]entry, error) {
	t.Helper()
	needConfinement(t)
	e, _, err := runScripts(t, sh(body))
	return e, err
}

// A process outside would lead, by its root in /proc, to all that can be written.
func TestRunSeesNoProcessOutside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	e, err := confined(t, fmt.Sprintf(`
for p in /proc/[0-9]*; do (echo x >$p/root%s) 2>/dev/null && echo written by $p >>$GITBOOT_OUT/found; done
test ! -e /proc/%d/root || echo the test >>$GITBOOT_OUT/found
ls -d /proc/[0-9]* | wc -l >$GITBOOT_OUT/count
! (echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo sysctl >>$GITBOOT_OUT/found
umount /proc 2>/dev/null && echo unmounted >>$GITBOOT_OUT/found
true`, outside, os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	if found, ok := e["/found"]; ok {
		t.Error(found.content)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(e["/count"].content)); err != nil || n < 1 || n > 6 {
		t.Errorf("it sees %q processes", e["/count"].content)
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a file outside was written")
	}
}

func TestRunLacksCapabilities(t *testing.T) {
	e, err := confined(t, "grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/self/status >$GITBOOT_OUT/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(e["/status"].content) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		if name == "NoNewPrivs" {
			if value != "1" {
				t.Error("it can gain privileges")
			}
			continue
		}
		bits, err := strconv.ParseUint(value, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		var want uint64
		for _, c := range confine.Kept() {
			want |= 1 << c
		}
		if bits != want {
			t.Errorf("%s is %x, want %x", name, bits, want)
		}
	}
}

// A disk can be written however read-only its file system is mounted, and a
// socket leads to a service that does what root asks.
func TestRunSeesNeitherDisksNorServices(t *testing.T) {
	needConfinement(t)
	socket := filepath.Join("/run", fmt.Sprintf("gitboot-test-%d.sock", os.Getpid()))
	service, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	e, err := confined(t, `find /dev /run | sort >$GITBOOT_OUT/found
echo to the null >/dev/null; head -c 1 /dev/urandom >/dev/null; echo x | cat /dev/stdin >$GITBOOT_OUT/x`)
	if err != nil {
		t.Fatal(err)
	}
	want := "/dev\n/dev/fd\n/dev/full\n/dev/null\n/dev/random\n/dev/stderr\n/dev/stdin\n/dev/stdout\n/dev/urandom\n/dev/zero\n/run\n"
	if got := e["/found"].content; got != want {
		t.Errorf("it sees\n%s", got)
	}
	wantEntry(t, e, "/x", "0 0644 0:0 x\n")
}

// What the script may write is seen wherever it lies, below what is hidden too.
func TestRunWritesBelowWhatIsHidden(t *testing.T) {
	needConfinement(t)
	dir, err := os.MkdirTemp("/run", "gitboot-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	log, _ := textLog()
	e, _, err := renderInput(t, Input{Machine: "m", Image: "i", StateDir: filepath.Join(dir, "state"), TempDir: filepath.Join(dir, "tmp"), Log: log,
		Hooks: []kind.Hook{{Name: "h", Run: []kind.Script{sh("echo x >$GITBOOT_STATE/x; cp $GITBOOT_STATE/x $GITBOOT_OUT/x; echo y >y")}}}})
	if err != nil {
		t.Fatal(err)
	}
	wantEntry(t, e, "/x", "0 0644 0:0 x\n")
}

func TestRunReachesNoNetwork(t *testing.T) {
	needConfinement(t)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := kind.Script{Name: "s", Content: []byte("#!/bin/bash\nset -e\nexec 3<>/dev/tcp/127.0.0.1/" + port + "\n")}
	_, _, err = runScripts(t, s)
	wantError(t, err, "network = true")
	_, _, err = runScripts(t, kind.Script{Name: "s", Content: []byte("#!/bin/bash\nexec 3<>/dev/tcp/192.0.2.1/80\n"), Timeout: time.Minute})
	wantError(t, err, "network = true")
	s.Network = true
	if _, _, err := runScripts(t, s); err != nil {
		t.Errorf("with network = true: %v", err)
	}
}
