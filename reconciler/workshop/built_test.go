package workshop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// A realShop builds with buildah, from a root file system of busybox.
type realShop struct {
	*testShop
	root   []byte
	config string
}

func newRealShop(t *testing.T) *realShop {
	t.Helper()
	need.Root(t)
	need.Programs(t, "buildah")
	busybox, err := os.ReadFile(need.Program(t, "busybox"))
	must(t, err)
	s := &realShop{testShop: newShop(t), config: realFamily}
	s.root = tarOf(t, map[string]string{"etc/": "", "tmp/": "", "root/": "", "var/": "", "bin/sh": string(busybox), "bin/busybox": string(busybox)})
	s.Engine = func(string) (engine.Engine, error) {
		return engines.Open("buildah", engines.Options{Dir: s.Stage.Engine()})
	}
	return s
}

const realFamily = `
[image.base.build]
from = "archive:root.tar"
run = ["echo base > /etc/base"]
rootfs_fixes = false

[image.desktop.build]
from = "image:base"
run = ["echo desktop > /etc/desktop; busybox mkdir /var/log; busybox cat /proc/uptime > /var/log/uptime"]
schedule = "0 3 * * *"
rootfs_fixes = false

[image.kiosk.build]
from = "image:base"
run = ["echo kiosk > /etc/kiosk"]
rootfs_fixes = false

[machine.laptop]
images = ["desktop", "kiosk"]
`

// wants is what the config wants, with a change.
func (s *realShop) wants(t *testing.T, old, new string) *wanted.Wanted {
	t.Helper()
	return wantsOf(t, strings.Replace(s.config, old, new, 1), fstest.MapFS{"root.tar": {Data: s.root}})
}

func built(j *Job) string {
	var names []string
	for _, r := range j.Results() {
		if r.Built {
			names = append(names, r.Image)
		}
	}
	return strings.Join(names, " ")
}

// From nothing to images, through what changes them, fails and is stopped: in one
// store, because a build takes seconds.
func TestBuilds(t *testing.T) {
	s := newRealShop(t)
	s.all(t)
	s.schedule(t)
	s.failing(t)
	s.superseded(t)
	s.cut(t)
}

// All is built, bases first, and others are told of each.
func (s *realShop) all(t *testing.T) {
	ready := make(chan bool, 9)
	j := s.make(t, s.wants(t, "", ""), Request{Trigger: "test", Ready: func() { ready <- true }})
	if got := built(j); got != "base desktop kiosk" || len(j.Failed()) > 0 || len(ready) != 3 {
		t.Fatalf("built %q, %d are told: %v", got, len(ready), j.Failed())
	}
	doc := s.doc(t)
	base, kiosk := doc.Builds["base"], doc.Builds["kiosk"]
	if base.Engine != "buildah" || len(base.Layers) != 2 || len(base.Sizes) != 2 || base.BaseID == "" || base.BaseDigest != base.Base.Digest || !base.Built.Equal(s.now) {
		t.Errorf("the base is %+v", base)
	}
	if kiosk.BaseID != "" || len(kiosk.Layers) != 3 || kiosk.Layers[1] != base.Layers[1] || kiosk.Made.Revision != strings.Repeat("1", 40) || kiosk.Config == "" {
		t.Errorf("the kiosk is %+v", kiosk)
	}
	if builds, _, _ := j.Made(); len(builds) != 3 || builds[0].Reasons[0] != "it was not built yet" {
		t.Errorf("made %v", builds)
	}
	if runs := s.runs(t); len(runs) != 1 || len(runs[0].Steps) != 3 || runs[0].Steps[0].Image != "base" || runs[0].Error != "" || len(runs[0].Failed) > 0 {
		t.Errorf("%+v", runs)
	}
	if left, err := os.ReadDir(s.Stage.Workshop().Temp()); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	if again := s.look(t, s.wants(t, "", ""), Request{}); !again.Settled() {
		t.Errorf("planned %q", planned(again))
	}
	if text := s.show(t, "kiosk"); !strings.Contains(text, "echo kiosk") {
		t.Errorf("the log is %s", text)
	}
}

// A step's layer that nobody noted is taken from the cache after a kill, whose writes
// the kernel has, and not when the power went.
func (s *realShop) cut(t *testing.T) {
	t.Helper()
	mark := filepath.Join(s.EngineDir, unsyncedName)
	now, err := durable.Session(s.EngineDir)
	must(t, err)
	for then, cached := range map[string]bool{now: true, "another boot 1\n": false} {
		steps := func(last string) *wanted.Wanted {
			s.now = s.now.Add(time.Minute)
			return s.wants(t, `"echo other > /etc/kiosk"`, fmt.Sprintf(`"echo cached is %t > /etc/kiosk", "%s"`, cached, last))
		}
		if j := s.make(t, steps("false"), Request{}); j.Failed()["kiosk"] == nil {
			t.Error("it did not fail")
		}
		if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what is on the disk is not noted as that: %v", err)
		}
		must(t, os.WriteFile(mark, []byte(then), 0o600))
		if j := s.make(t, steps("true"), Request{}); built(j) != "kiosk" {
			t.Errorf("built %q: %v", built(j), j.Failed())
		}
		if text := s.show(t, "kiosk"); strings.Contains(text, "Using cache") != cached {
			t.Errorf("the cache is used, which is to be %t: %s", cached, text)
		}
	}
}

// A schedule rebuilds without cache, once however many times were missed, and what
// comes out the same is the same image.
func (s *realShop) schedule(t *testing.T) {
	first := s.doc(t)
	s.now = s.now.Add(5*24*time.Hour + time.Minute)
	w := s.wants(t, "", "")
	if j := s.make(t, w, Request{}); built(j) != "desktop" || !s.look(t, w, Request{}).Settled() {
		t.Errorf("built %q: %v", built(j), j.Failed())
	}
	if text := s.show(t, "desktop"); strings.Contains(text, "Using cache") {
		t.Errorf("the cache is used: %s", text)
	}
	last := s.doc(t)
	if is := last.Builds["desktop"]; !is.Built.Equal(s.now) || !strings.Contains(s.log.String(), "only logs and caches differ") {
		t.Errorf("%+v", is)
	}
	last.Builds["desktop"].Built = first.Builds["desktop"].Built
	if diff := cmp.Diff(first, last); diff != "" {
		t.Errorf("more than the time of the build has changed:\n%s", diff)
	}
}

// A step that fails leaves the image as it was, and says where the whole log is;
// the others are built, without it.
func (s *realShop) failing(t *testing.T) {
	before := s.doc(t)
	s.now = s.now.Add(time.Minute)
	s.config = strings.Replace(s.config, "echo kiosk >", "echo other >", 1)
	j := s.make(t, s.wants(t, "echo desktop", "echo broken; exit 1; echo desktop"), Request{})
	err := j.Failed()["desktop"]
	if built(j) != "kiosk" || len(j.Failed()) != 1 || err == nil || !strings.HasSuffix(err.Error(), "\nthe whole log: gitboot image log desktop") {
		t.Fatalf("built %q, failed %v", built(j), err)
	}
	after := s.doc(t)
	desktop := after.Builds["desktop"]
	if desktop.ID != before.Builds["desktop"].ID || desktop.Failure == nil || desktop.Failure.Attempts != 1 || after.Builds["kiosk"].Digest == before.Builds["kiosk"].Digest {
		t.Errorf("%+v", desktop)
	}
	if text := s.show(t, "desktop"); !strings.Contains(text, "broken\n") {
		t.Errorf("the log is %s", text)
	}
	if j := s.make(t, s.wants(t, "", ""), Request{}); built(j) != "" || len(j.Failed()) > 0 || s.doc(t).Builds["desktop"].Failure != nil {
		t.Errorf("as it was before: built %q, failed %v", built(j), j.Failed())
	}
}

// A newer revision stops a build that it does not want, which is nobody's failure,
// nor that of what is built on it;
// what was ready before stays, and the next job builds what is wanted then.
func (s *realShop) superseded(t *testing.T) {
	s.now = s.now.Add(time.Minute)
	w := s.wants(t, "echo base", "echo sleeping; busybox sleep 1000; echo base")
	before, records := s.doc(t), len(s.runs(t))
	j := s.look(t, w, Request{Trigger: "test"})
	must(t, j.Begin(t.Context()))
	r, follow := io.Pipe()
	next, made := s.nextLog("base"), make(chan error, 1)
	go func() { made <- j.Make(t.Context()) }()
	go func() { follow.CloseWithError(next(t.Context(), follow)) }()
	for lines := bufio.NewScanner(r); lines.Scan() && lines.Text() != "sleeping"; {
	}
	must(t, r.Close())
	j.Supersede(s.wants(t, "", ""))
	if err := <-made; !errors.Is(err, ErrSuperseded) {
		t.Errorf("made: %v", err)
	}
	must(t, errors.Join(j.Publish(t.Context()), j.End()))
	if diff := cmp.Diff(before, s.doc(t)); diff != "" {
		t.Errorf("the document is another:\n%s", diff)
	}
	if runs := s.runs(t); len(runs) != records+1 || !strings.Contains(runs[0].Error, ErrSuperseded.Error()) || len(runs[0].Failed)+len(j.Failed()) > 0 {
		t.Errorf("%+v, failed %v", runs[0], j.Failed())
	}
	if again := s.look(t, s.wants(t, "", ""), Request{}); !again.Settled() {
		t.Errorf("what is wanted then: %q", planned(again))
	}
}

// nextLog gives what follows the log of the next build of an image.
func (s *realShop) nextLog(name string) func(context.Context, io.Writer) error {
	logs := func() int {
		found, _ := os.ReadDir(s.logDir(name))
		return len(found)
	}
	before := logs()
	return func(ctx context.Context, w io.Writer) error {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for logs() == before {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		return s.Show(ctx, name, true, w)
	}
}
