package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/build/recipe"
)

// A tested engine is one that has to keep the contract.
type tested struct {
	Engine
	folders []string           // where it writes, for the whole of its work
	idle    func(t *testing.T) // fails the test if something is left of a build
}

// The contract of engines. Each of them passes all of it.
func contract(t *testing.T, e tested) {
	base := busybox(t, e)
	for _, c := range []struct {
		name string
		run  func(*testing.T, tested, Image)
	}{
		{"stack, recipe, copy, run", testAll}, {"fixes", testFixes}, {"cache", testCache}, {"reproducible", testReproducible},
		{"scratch", testScratch}, {"child", testChild}, {"failing step", testFailing}, {"hanging step", testHanging},
		{"cancel", testCancel}, {"secret", testSecret}, {"user", testUser}, {"names", testNames}, {"mounts", testMounts},
		{"side by side", testSideBySide}, {"gone", testGone},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, e, base) })
	}
	t.Run("leaves nothing", func(t *testing.T) {
		e.idle(t)
		mounts, err := os.ReadFile("/proc/self/mounts")
		for _, dir := range e.folders {
			if err != nil || bytes.Contains(mounts, []byte(dir)) {
				t.Errorf("mounts are left: %v", err)
			}
		}
	})
}

var epoch = time.Unix(1700000000, 0)

func run(t *testing.T, e Engine, r recipe.Recipe, opts Options) (Image, string, error) {
	t.Helper()
	var log bytes.Buffer
	opts.Epoch, opts.TempDir, opts.Log = epoch, t.TempDir(), &log
	img, err := Run(t.Context(), e, prepare(t, r), opts)
	return img, log.String(), err
}

func must(t *testing.T, e Engine, r recipe.Recipe, opts Options) Image {
	t.Helper()
	img, log, err := run(t, e, r, opts)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	return img
}

func testAll(t *testing.T, e tested, base Image) {
	r := recipe.Recipe{
		FS: repo(map[string]string{
			"a.containerfile":     "ARG GITBOOT_FROM\nFROM $GITBOOT_FROM AS made\nRUN echo a > /root/made\nFROM $GITBOOT_FROM\nCOPY --from=made /root/made /root/a\nENV FROM_A=yes\n",
			"b.containerfile":     "ARG GITBOOT_FROM\nFROM ${GITBOOT_FROM}\nCOPY files /root/files\nRUN echo $FROM_A >> /root/a\n",
			"files/tool":          "#!/bin/sh\n",
			"files/text":          "text",
			"recipes/one/script":  "#!/bin/sh\nset -e\ncat data > /root/recipe\necho $GREETING >> /root/recipe\n",
			"recipes/one/data":    "data\n",
			"motd":                "hello\n",
			"never/used/anywhere": "x",
		}),
		Containerfiles: []string{"a.containerfile", "b.containerfile"}, Recipe: "recipes/one",
		Copy: []recipe.Copy{{From: "motd", To: "/etc/motd"}}, Run: []string{"echo one > /root/run", "echo two >> /root/run\necho three >> /root/run"},
		Args: map[string]string{"GREETING": "moin"}, Labels: map[string]string{"org.example": `a "$b"`},
	}
	all := contents(t, must(t, e, r, Options{Base: base.ID}))
	for path, want := range map[string]string{
		"root/a": "a\nyes\n", "root/files/text": "text", "root/recipe": "data\nmoin\n", "etc/motd": "hello\n", "root/run": "one\ntwo\nthree\n",
	} {
		if got := all[path]; got.content != want {
			t.Errorf("%s is %q, not %q", path, got.content, want)
		}
		if got := all[path]; !got.ModTime.Equal(epoch) {
			t.Errorf("%s is of %v", path, got.ModTime)
		}
	}
	if mode := all["root/files/tool"].Mode & 0o777; mode != 0o755 {
		t.Errorf("the tool's mode is %o", mode)
	}
	for path := range all {
		if strings.Contains(path, ".gitboot") || strings.Contains(path, "gitboot-recipe") || strings.Contains(path, "never") {
			t.Errorf("the image holds %s", path)
		}
	}
}

func testFixes(t *testing.T, e tested, base Image) {
	r := recipe.Recipe{FS: repo(nil), RootfsFixes: true, Run: []string{
		"mkdir -p /etc/systemd/system/multi-user.target.wants /usr/sbin /var/lib/dbus /usr/lib/systemd",
		"ln -s /usr/lib/systemd/system/systemd-resolved.service /etc/systemd/system/multi-user.target.wants/",
		"echo 0123 > /etc/machine-id; echo 0123 > /var/lib/dbus/machine-id; echo 'exit 101' > /usr/sbin/policy-rc.d",
	}}
	all := contents(t, must(t, e, r, Options{Base: base.ID}))
	if got := all["etc/resolv.conf"].Linkname; got != "../run/systemd/resolve/stub-resolv.conf" {
		t.Errorf("resolv.conf leads to %q", got)
	}
	if got := all["var/lib/dbus/machine-id"].Linkname; got != "/etc/machine-id" {
		t.Errorf("D-Bus's machine id leads to %q", got)
	}
	for path, want := range map[string]string{"etc/hostname": "localhost\n", "etc/machine-id": "", "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"} {
		if got, ok := all[path]; !ok || got.content != want {
			t.Errorf("%s is %q, not %q", path, got.content, want)
		}
	}
	if all["usr/sbin/policy-rc.d"].layer > all["usr/sbin/.wh.policy-rc.d"].layer {
		t.Error("policy-rc.d is still there")
	}
	plain := contents(t, must(t, e, recipe.Recipe{FS: repo(nil), RootfsFixes: true}, Options{Base: base.ID}))
	if got, ok := plain["etc/resolv.conf"]; !ok || got.content != "" || got.Linkname != "" {
		t.Errorf("resolv.conf of an image without a resolver is %+v", got)
	}
	if _, ok := plain["etc/machine-id"]; ok {
		t.Error("an image without systemd got a machine-id")
	}
}

func testCache(t *testing.T, e tested, base Image) {
	r := recipe.Recipe{FS: repo(map[string]string{"r/script": "#!/bin/sh\ncat /proc/uptime > /root/x\n"}), Recipe: "r"}
	first := must(t, e, r, Options{Base: base.ID})
	if again := must(t, e, r, Options{Base: base.ID}); again.ID != first.ID {
		t.Error("an unchanged step was run again")
	}
	if fresh := must(t, e, r, Options{Base: base.ID, NoCache: true}); fresh.Digest == first.Digest {
		t.Error("without the cache, the step was not run again")
	}
	for _, data := range []string{"one", "two"} {
		bound := recipe.Recipe{FS: repo(map[string]string{"data/x": data, "f": "FROM $GITBOOT_FROM\nRUN --mount=type=bind,source=data,target=/run/data cat /run/data/x > /root/x\n"}), Containerfiles: []string{"f"}}
		if got := contents(t, must(t, e, bound, Options{Base: base.ID}))["root/x"].content; got != data {
			t.Errorf("a mounted file that became %q gave %q", data, got)
		}
	}
	r.FS = repo(map[string]string{"r/script": "#!/bin/sh\necho changed > /root/x\n"})
	if got := contents(t, must(t, e, r, Options{Base: base.ID}))["root/x"].content; got != "changed\n" {
		t.Errorf("a changed recipe gave %q", got)
	}
}

func testScratch(t *testing.T, e tested, _ Image) {
	r := recipe.Recipe{Scratch: true, FS: repo(map[string]string{"d/x": "x", "f": "FROM scratch AS other\nCOPY d /\nARG GITBOOT_FROM\nFROM $GITBOOT_FROM\nCOPY --from=other x /y\n"}), Containerfiles: []string{"f"}}
	all := contents(t, must(t, e, r, Options{}))
	if all["y"].content != "x" {
		t.Errorf("%v", all)
	}
}

func testChild(t *testing.T, e tested, base Image) {
	parent := must(t, e, recipe.Recipe{FS: repo(nil), Run: []string{"echo parent > /root/p"}}, Options{Base: base.ID})
	child := must(t, e, recipe.Recipe{FS: repo(nil), Run: []string{"cat /root/p > /root/c"}}, Options{Base: parent.ID})
	if len(child.Layers) != len(parent.Layers)+1 {
		t.Fatalf("%d layers on %d", len(child.Layers), len(parent.Layers))
	}
	for i, l := range parent.Layers {
		if child.Layers[i].DiffID != l.DiffID {
			t.Errorf("layer %d is not shared", i)
		}
	}
}

func testFailing(t *testing.T, e tested, base Image) {
	_, log, err := run(t, e, recipe.Recipe{FS: repo(nil), Run: []string{"echo so far so good; echo this is why >&2; exit 3"}}, Options{Base: base.ID})
	if err == nil || !strings.Contains(err.Error(), "this is why") {
		t.Errorf("the error lacks the last lines: %v", err)
	}
	if !strings.Contains(log, "so far so good") {
		t.Errorf("the log is %q", log)
	}
}

// hang is a step that does not end, with a process of its own.
const hang = "echo begun; (yes > /dev/null) & sleep 3600"

func testHanging(t *testing.T, e tested, base Image) {
	_, _, err := run(t, e, recipe.Recipe{FS: repo(nil), Run: []string{hang}}, Options{Base: base.ID, Timeout: 3 * time.Second})
	if timeout := (*TimeoutError)(nil); !errors.As(err, &timeout) {
		t.Errorf("%v", err)
	}
	if err := e.Clean(t.Context()); err != nil {
		t.Error(err)
	}
	noneRuns(t)
}

func testCancel(t *testing.T, e tested, base Image) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Run(ctx, e, prepare(t, recipe.Recipe{FS: repo(nil), Run: []string{hang}}), Options{Base: base.ID, Epoch: epoch, TempDir: t.TempDir(), Log: onText("begun", cancel)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := e.Clean(t.Context()); err != nil {
		t.Error(err)
	}
	noneRuns(t)
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// onText does something as soon as a line of output is what it waits for.
func onText(text string, do func()) writer {
	return func(p []byte) (int, error) {
		if bytes.HasPrefix(p, []byte(text)) || bytes.Contains(p, []byte("\n"+text)) {
			do()
		}
		return len(p), nil
	}
}

// noneRuns looks for the hanging step. A daemon may take a moment to end it.
func noneRuns(t *testing.T) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		line, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil && bytes.Contains(line, []byte("sleep\x003600")) && !ends(pid) {
			t.Errorf("%s still runs: %q", path, line)
		}
	}
}

// ends waits for the end of a process, five seconds at most.
func ends(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 1
		}
	}
}

func testSecret(t *testing.T, e tested, base Image) {
	const secret = "swordfish-3141"
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	r := recipe.Recipe{FS: repo(nil), Secrets: map[string]string{"token": path}, Run: []string{"test $(cat /run/secrets/token) = " + secret[:9] + "-$((3000+141))"}}
	img, log, err := run(t, e, r, Options{Base: base.ID})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for path, entry := range contents(t, img) {
		if strings.Contains(entry.content, secret) {
			t.Errorf("%s holds the secret", path)
		}
	}
	if out, err := exec.Command("grep", append([]string{"-rl", secret}, e.folders...)...).Output(); err == nil {
		t.Errorf("the engine kept the secret in %s", out)
	}
	if strings.Contains(log, secret) {
		t.Error("the log holds the secret")
	}
	r.Secrets = map[string]string{"token": path + "-missing"}
	if _, _, err := run(t, e, r, Options{Base: base.ID}); err == nil || !strings.Contains(err.Error(), "secret token") {
		t.Errorf("a missing secret: %v", err)
	}
}

func testSideBySide(t *testing.T, e tested, base Image) {
	var group sync.WaitGroup
	r := recipe.Recipe{FS: repo(nil), Run: []string{"sleep 0.2; echo same > /root/s"}}
	images := make([]Image, 2)
	for i := range images {
		group.Go(func() { images[i] = must(t, e, r, Options{Base: base.ID, NoCache: true}) })
	}
	group.Wait()
	if images[0].Digest != images[1].Digest {
		t.Error("two builds of the same image differ")
	}
}

func testGone(t *testing.T, e tested, _ Image) {
	if _, err := e.Image(t.Context(), "sha256:"+strings.Repeat("0", 64)); !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
}
