package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// A check that heeds no context does not hold up the others.
func TestWhatHangsIsGivenUp(t *testing.T) {
	v := &visit{Patient: Patient{Patience: 10 * time.Millisecond}}
	hangs := check{name: "hangs", look: func(context.Context, *visit) []Finding { select {} }}
	found := hangs.bounded(t.Context(), v)
	if len(found) != 1 || found[0].Verdict != Fail || !strings.Contains(found[0].Message, "took longer than 10ms") {
		t.Errorf("found %+v", found)
	}
}

func TestOfflineAsksNobody(t *testing.T) {
	asked := false
	c := check{name: "asks", online: true, look: func(context.Context, *visit) []Finding { asked = true; return ok("") }}
	if found := c.bounded(t.Context(), &visit{Patient: Patient{Offline: true, Patience: time.Minute}}); asked || found[0].Verdict != Skip {
		t.Errorf("found %+v", found)
	}
}

// Whatever is wrong, each check says something, with a remedy where it failed,
// and in the same order.
func TestEveryCheckSpeaks(t *testing.T) {
	findings, err := Examine(t.Context(), Patient{Settings: errors.New("agent.toml:1: nonsense"), File: "/etc/gitboot/agent.toml", Patience: time.Minute,
		Config: reconciler.Config{Stage: t.TempDir(), Now: time.Now}})
	if err != nil {
		t.Fatal(err)
	}
	var names, want []string
	for _, f := range findings {
		names = append(names, f.Check)
		if f.Verdict == Fail && f.Remedy == "" {
			t.Errorf("%s failed without a remedy: %s", f.Check, f.Message)
		}
	}
	for _, c := range checks() {
		want = append(want, c.name)
	}
	if !slices.Equal(names, want) {
		t.Errorf("spoke %v, not %v", names, want)
	}
}

func TestExaminationEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Examine(ctx, Patient{Settings: errors.New("none"), Patience: time.Minute}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

// A clock that is behind what was done already is wrong, whoever keeps it.
func TestClockBehindWhatWasDone(t *testing.T) {
	dir := t.TempDir() + "/stage"
	if _, err := stage.Create(dir); err != nil {
		t.Fatal(err)
	}
	made := time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)
	doc := &state.Machine{Version: state.Version, Images: map[string]*state.Image{"desktop": {Generations: []state.Generation{{N: 1, Created: made, Inputs: plan.Inputs{}}}}}}
	if err := doc.Save(dir, nil); err != nil {
		t.Fatal(err)
	}
	for now, wrong := range map[time.Time]bool{
		time.Date(1970, 1, 1, 0, 0, 9, 0, time.UTC): true,
		made.Add(-time.Hour):                        true,
		made.Add(-time.Second):                      false,
		made.Add(time.Hour):                         false,
	} {
		p := Patient{Config: reconciler.Config{Stage: dir, Now: func() time.Time { return now }}}
		v, done := p.visit(t.Context())
		found := checkClock(t.Context(), v)
		if (found[0].Verdict == Fail) != wrong {
			t.Errorf("at %s: %+v", now, found)
		}
		if err := done(); err != nil {
			t.Error(err)
		}
	}
}

func TestRegistriesOfImagesAndBases(t *testing.T) {
	base := spec.Image{Name: "base", Build: &spec.Build{FromRef: "debian:bookworm", Pulled: spec.Pull{Insecure: true}}}
	pulls := pullsOf(&spec.Wants{
		Images: []spec.Image{
			{Name: "a", Pull: &spec.Pull{Ref: "registry.lan:5000/a:1"}}, {Name: "b", Pull: &spec.Pull{Ref: "registry.lan:5000/b:1"}},
			{Name: "c", Build: &spec.Build{Base: &base}}, {Name: "d", Archive: &spec.Archive{Path: "/x.tar"}},
		},
		Builds: []spec.Image{base, {Name: "e", Pull: &spec.Pull{Ref: "localhost/e"}}},
	})
	for host, want := range map[string]int{"registry.lan:5000": 2, "docker.io": 1, "localhost": 1} {
		if len(pulls[host]) != want {
			t.Errorf("of %s %d images are asked for, not %d", host, len(pulls[host]), want)
		}
	}
	if len(pulls) != 3 || !pulls["docker.io"][0].Insecure {
		t.Errorf("registries are %v", pulls)
	}
}

func TestUnits(t *testing.T) {
	const timer, service = "Id=gitboot.timer\n", "Id=gitboot.service\n"
	for name, c := range map[string]struct {
		shown   string
		verdict Verdict
		says    string
	}{
		"none installed": {service + "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n\n" + timer + "ActiveState=inactive\nUnitFileState=\n", Warn, "nothing reconciles"},
		"the agent":      {service + "ActiveState=active\nUnitFileState=enabled\n\n" + timer + "ActiveState=inactive\nUnitFileState=disabled\n", OK, "gitboot.service runs"},
		"the timer":      {service + "ActiveState=inactive\nUnitFileState=static\n\n" + timer + "ActiveState=active\nUnitFileState=enabled\n", OK, "gitboot.timer runs"},
		"not enabled":    {service + "ActiveState=active\nUnitFileState=disabled\n", Warn, "does not after a boot"},
		"not started":    {service + "ActiveState=inactive\nUnitFileState=enabled\n", Warn, "does not run"},
		"failed":         {service + "ActiveState=failed\nResult=watchdog\nUnitFileState=enabled\n", Fail, "gitboot.service failed (watchdog)"},
	} {
		found := judgeUnits(parseUnits(c.shown))
		if len(found) != 1 || found[0].Verdict != c.verdict || !strings.Contains(found[0].Message, c.says) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
