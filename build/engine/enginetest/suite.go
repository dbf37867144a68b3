// Package enginetest is what each engine must pass, and what its own tests are
// made of besides.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

// A Tested engine is one that has to keep the contract.
type Tested struct {
	engine.Engine
	Dir     string             // the folder of all engines
	Folders []string           // where it writes, for the whole of its work
	Idle    func(t *testing.T) // fails the test if something is left of a build
}

// Run tests an engine that has built nothing yet.
func Run(t *testing.T, e Tested) {
	base := Busybox(t, e)
	for _, c := range []struct {
		name string
		run  func(*testing.T, Tested, engine.Image)
	}{
		{"stack, recipe, copy, run", testAll}, {"fixes", testFixes}, {"cache", testCache}, {"reproducible", testReproducible},
		{"scratch", testScratch}, {"child", testChild}, {"failing step", testFailing}, {"hanging step", testHanging},
		{"cancel", testCancel}, {"secret", testSecret}, {"user", testUser}, {"names", testNames}, {"lease", testLease}, {"mounts", testMounts},
		{"side by side", testSideBySide}, {"gone", testGone},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, e, base) })
	}
	t.Run("leaves nothing", func(t *testing.T) {
		e.Idle(t)
		mounts, err := os.ReadFile("/proc/self/mounts")
		for _, dir := range e.Folders {
			if err != nil || bytes.Contains(mounts, []byte(dir)) {
				t.Errorf("mounts are left: %v", err)
			}
		}
	})
}

func testAll(t *testing.T, e Tested, base engine.Image) {
	r := recipe.Recipe{
		FS: recipetest.Repo(map[string]string{
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
	all := Contents(t, Built(t, e, r, engine.Options{Base: base.ID}))
	for path, want := range map[string]string{
		"root/a": "a\nyes\n", "root/files/text": "text", "root/recipe": "data\nmoin\n", "etc/motd": "hello\n", "root/run": "one\ntwo\nthree\n",
	} {
		if got := all[path]; got.Content != want {
			t.Errorf("%s is %q, not %q", path, got.Content, want)
		}
		if got := all[path]; !got.ModTime.Equal(Epoch) {
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

func testFixes(t *testing.T, e Tested, base engine.Image) {
	r := recipe.Recipe{FS: recipetest.Repo(nil), RootfsFixes: true, Run: []string{
		"mkdir -p /etc/systemd/system/multi-user.target.wants /usr/sbin /var/lib/dbus /usr/lib/systemd",
		"ln -s /usr/lib/systemd/system/systemd-resolved.service /etc/systemd/system/multi-user.target.wants/",
		"echo 0123 > /etc/machine-id; echo 0123 > /var/lib/dbus/machine-id; echo 'exit 101' > /usr/sbin/policy-rc.d",
	}}
	all := Contents(t, Built(t, e, r, engine.Options{Base: base.ID}))
	if got := all["etc/resolv.conf"].Linkname; got != "../run/systemd/resolve/stub-resolv.conf" {
		t.Errorf("resolv.conf leads to %q", got)
	}
	if got := all["var/lib/dbus/machine-id"].Linkname; got != "/etc/machine-id" {
		t.Errorf("D-Bus's machine id leads to %q", got)
	}
	for path, want := range map[string]string{"etc/hostname": "localhost\n", "etc/machine-id": "", "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"} {
		if got, ok := all[path]; !ok || got.Content != want {
			t.Errorf("%s is %q, not %q", path, got.Content, want)
		}
	}
	if all["usr/sbin/policy-rc.d"].layer > all["usr/sbin/.wh.policy-rc.d"].layer {
		t.Error("policy-rc.d is still there")
	}
	plain := Contents(t, Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), RootfsFixes: true}, engine.Options{Base: base.ID}))
	if got, ok := plain["etc/resolv.conf"]; !ok || got.Content != "" || got.Linkname != "" {
		t.Errorf("resolv.conf of an image without a resolver is %+v", got)
	}
	if _, ok := plain["etc/machine-id"]; ok {
		t.Error("an image without systemd got a machine-id")
	}
}

func testCache(t *testing.T, e Tested, base engine.Image) {
	r := recipe.Recipe{FS: recipetest.Repo(map[string]string{"r/script": "#!/bin/sh\ncat /proc/uptime > /root/x\n"}), Recipe: "r"}
	first := Built(t, e, r, engine.Options{Base: base.ID})
	if again := Built(t, e, r, engine.Options{Base: base.ID}); again.ID != first.ID {
		t.Error("an unchanged step was run again")
	}
	if fresh := Built(t, e, r, engine.Options{Base: base.ID, NoCache: true}); fresh.Digest == first.Digest {
		t.Error("without the cache, the step was not run again")
	}
	for _, data := range []string{"one", "two"} {
		bound := recipe.Recipe{FS: recipetest.Repo(map[string]string{"data/x": data, "f": "FROM $GITBOOT_FROM\nRUN --mount=type=bind,source=data,target=/run/data cat /run/data/x > /root/x\n"}), Containerfiles: []string{"f"}}
		if got := Contents(t, Built(t, e, bound, engine.Options{Base: base.ID}))["root/x"].Content; got != data {
			t.Errorf("a mounted file that became %q gave %q", data, got)
		}
	}
	r.FS = recipetest.Repo(map[string]string{"r/script": "#!/bin/sh\necho changed > /root/x\n"})
	if got := Contents(t, Built(t, e, r, engine.Options{Base: base.ID}))["root/x"].Content; got != "changed\n" {
		t.Errorf("a changed recipe gave %q", got)
	}
}

func testScratch(t *testing.T, e Tested, _ engine.Image) {
	r := recipe.Recipe{Scratch: true, FS: recipetest.Repo(map[string]string{"d/x": "x", "f": "FROM scratch AS other\nCOPY d /\nARG GITBOOT_FROM\nFROM $GITBOOT_FROM\nCOPY --from=other x /y\n"}), Containerfiles: []string{"f"}}
	all := Contents(t, Built(t, e, r, engine.Options{}))
	if all["y"].Content != "x" {
		t.Errorf("%v", all)
	}
}

func testChild(t *testing.T, e Tested, base engine.Image) {
	parent := Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"echo parent > /root/p"}}, engine.Options{Base: base.ID})
	child := Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"cat /root/p > /root/c"}}, engine.Options{Base: parent.ID})
	if len(child.Layers) != len(parent.Layers)+1 {
		t.Fatalf("%d layers on %d", len(child.Layers), len(parent.Layers))
	}
	for i, l := range parent.Layers {
		if child.Layers[i].DiffID != l.DiffID {
			t.Errorf("layer %d is not shared", i)
		}
	}
}

func testFailing(t *testing.T, e Tested, base engine.Image) {
	_, log, err := Build(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"echo so far so good; echo this is why >&2; exit 3"}}, engine.Options{Base: base.ID})
	if err == nil || !strings.Contains(err.Error(), "this is why") {
		t.Errorf("the error lacks the last lines: %v", err)
	}
	if !strings.Contains(log, "so far so good") {
		t.Errorf("the log is %q", log)
	}
}

func testHanging(t *testing.T, e Tested, base engine.Image) {
	_, _, err := Build(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{Hang}}, engine.Options{Base: base.ID, Timeout: 3 * time.Second})
	if timeout := (*engine.TimeoutError)(nil); !errors.As(err, &timeout) {
		t.Errorf("%v", err)
	}
	if err := e.Clean(t.Context()); err != nil {
		t.Error(err)
	}
	NoneRuns(t)
}

func testCancel(t *testing.T, e Tested, base engine.Image) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := engine.Run(ctx, e, Prepare(t, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{Hang}}), engine.Options{Base: base.ID, Epoch: Epoch, TempDir: t.TempDir(), Log: OnText("begun", cancel)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := e.Clean(t.Context()); err != nil {
		t.Error(err)
	}
	NoneRuns(t)
}

func testSecret(t *testing.T, e Tested, base engine.Image) {
	const secret = "swordfish-3141"
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	r := recipe.Recipe{FS: recipetest.Repo(nil), Secrets: map[string]string{"token": path}, Run: []string{"test $(cat /run/secrets/token) = " + secret[:9] + "-$((3000+141))"}}
	img, log, err := Build(t, e, r, engine.Options{Base: base.ID})
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for path, entry := range Contents(t, img) {
		if strings.Contains(entry.Content, secret) {
			t.Errorf("%s holds the secret", path)
		}
	}
	for _, dir := range e.Folders {
		if found := holding(t, dir, secret); len(found) > 0 {
			t.Errorf("the engine kept the secret in %s", found)
		}
	}
	if strings.Contains(log, secret) {
		t.Error("the log holds the secret")
	}
	r.Secrets = map[string]string{"token": path + "-missing"}
	if _, _, err := Build(t, e, r, engine.Options{Base: base.ID}); err == nil || !strings.Contains(err.Error(), "secret token") {
		t.Errorf("a missing secret: %v", err)
	}
}

func testSideBySide(t *testing.T, e Tested, base engine.Image) {
	var group sync.WaitGroup
	r := recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"sleep 0.2; echo same > /root/s"}}
	images := make([]engine.Image, 2)
	for i := range images {
		group.Go(func() { images[i] = Built(t, e, r, engine.Options{Base: base.ID, NoCache: true}) })
	}
	group.Wait()
	if images[0].Digest != images[1].Digest {
		t.Error("two builds of the same image differ")
	}
}

func testGone(t *testing.T, e Tested, _ engine.Image) {
	if _, err := e.Image(t.Context(), "sha256:"+strings.Repeat("0", 64)); !errors.Is(err, engine.ErrGone) {
		t.Errorf("%v", err)
	}
}

// holding lists the files below a folder that hold a text.
func holding(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}
