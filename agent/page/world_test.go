package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// A world is an agent of which there is something of everything to be seen.
type world struct {
	*Page
	board  *live.Board
	staged report.Status
	// did are the actions that were asked for.
	did []string
	// url is where the page is served.
	url    string
	server *httptest.Server
}

const hash = "7a31c05be2f94d18a6c3e0b5d7f1928374655a6b"

func newWorld(t testing.TB) *world {
	t.Helper()
	now := time.Now()
	w := &world{board: live.New("1.4.0", time.Now), staged: staged(now)}
	var err error
	w.Page, err = New(Options{
		Board: w.board, Now: time.Now, Err: slog.New(slog.DiscardHandler),
		Report: func(context.Context) (report.Status, error) { return w.staged, nil },
		Runs:   func() ([]state.Run, error) { return past(now), nil },
		Tail:   func(string) (string, error) { return buildLog(), nil },
		Log: func(_ context.Context, image string, out io.Writer) error {
			if image != "desktop" {
				return errors.New("this machine has built no image \"" + image + "\"\x1b[31m")
			}
			_, err := io.WriteString(out, "\x1b[1mSTEP 1/3\x1b[0m: FROM <base>\nthe end")
			return err
		},
		Plan: func(context.Context) ([]plan.Action, error) {
			return []plan.Action{{Kind: plan.AddDeployment, Image: "desktop", Generation: 13, Reason: "the hook \"hostname\" changed"}}, nil
		},
		Actions: []string{"reconcile", "update", "approve", "pin", "unpin", "set-default", "suspend", "resume"},
		Do: func(_ context.Context, by, name string, wish Wish) (string, error) {
			w.did = append(w.did, fmt.Sprint(by, " ", name, " ", wish))
			if wish.Label == "wrong" {
				return "", errors.New("the label <b>is wrong</b>")
			}
			return "done: " + name, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(w.Handler())
	t.Cleanup(w.server.Close)
	w.url = w.server.URL
	return w
}

// rest is what an agent is told that has nothing to do.
func (w *world) rest() {
	rev := event.Event{Time: time.Now().Add(-time.Hour), Kind: event.Looked, Machine: "laptop", Revision: hash, Subject: "desktop: install jq", Author: "Ada Lovelace", Changed: true}
	w.board.Tell(rev)
	w.board.Tell(event.Event{Time: rev.Time, Kind: event.Began, Machine: "laptop", Part: event.Machine, Revision: hash})
	w.board.Tell(event.Event{Time: rev.Time, Kind: event.Ended, Machine: "laptop", Part: event.Machine, Revision: hash})
	w.board.SetNext([]plan.Coming{
		{Time: time.Now().Add(40 * time.Second), What: "poll"},
		{Time: time.Now().Add(26 * time.Minute), What: "update", Image: "router", Why: "its update */30 * * * *"},
		{Time: time.Now().Add(5 * time.Hour), What: "build", Image: "desktop", Why: "its schedule 0 3 * * *"},
	})
}

// work is what one is told that builds an image, while another fails.
func (w *world) work() {
	now := time.Now()
	w.rest()
	layer := plan.Action{Kind: plan.AddLayer, Image: "router", Subject: "sha256:1", Bytes: 84 << 20}
	steps := []plan.Action{
		layer, {Kind: plan.AddLayer, Image: "router", Subject: "sha256:2", Bytes: 12 << 20},
		{Kind: plan.AddDeployment, Image: "router", Generation: 4, Reason: "the image's digest is another", Packages: "2 upgraded (linux 6.12.9 → 6.12.10, openssl), 1 added (jq 1.7)"},
		{Kind: plan.WriteMenu, Reason: "router has a new generation"},
		{Kind: plan.RemoveDeployment, Image: "router", Generation: 1, Reason: "keep is 3"},
	}
	for _, e := range []event.Event{
		{Kind: event.Began, Part: event.Machine, Trigger: "webhook", Revision: hash, Steps: steps},
		{Kind: event.Stepped, Part: event.Machine, Step: &layer},
		{Kind: event.Began, Part: event.Workshop, Trigger: "schedule", Revision: hash, Steps: []plan.Action{{Kind: plan.BuildImage, Image: "desktop", Reason: "its schedule is due"}, {Kind: plan.PushImage, Image: "desktop", Ref: "registry.lan/desktop:nightly"}}},
		{Kind: event.Stepped, Part: event.Workshop, Step: &plan.Action{Kind: plan.BuildImage, Image: "desktop"}},
	} {
		e.Time, e.Machine = now.Add(-3*time.Minute), "laptop"
		w.board.Tell(e)
	}
	w.board.Progress(progress.Event{Task: "layer sha256:1", Layer: "sha256:1", Done: 31 << 20, Total: 84 << 20})
	w.board.Progress(progress.Event{Task: "desktop", Build: &progress.Build{Step: 4, Steps: 9, Doing: "RUN apt-get update && apt-get install -y firefox-esr jq", Line: "Setting up firefox-esr (128.6.0esr-1) ..."}})
}

// fail is what one is told that cannot pull an image.
func (w *world) fail() {
	w.board.Tell(event.Event{Time: time.Now().Add(-3 * time.Minute), Kind: event.Failed, Machine: "laptop", Part: event.Machine, Image: "kiosk", Revision: hash,
		Error: "pull ghcr.io/example/kiosk:stable: the registry answers 401 Unauthorized\nset credentials_file in agent.toml, or log in with `podman login`"})
}

func buildLog() string {
	return "STEP 4/9: RUN apt-get update && apt-get install -y firefox-esr jq\nGet:1 http://deb.debian.org/debian trixie InRelease [140 kB]\nGet:2 http://deb.debian.org/debian trixie/main amd64 Packages [9668 kB]\n" +
		"Fetched 9808 kB in 2s (5213 kB/s)\nReading package lists...\nThe following NEW packages will be installed:\n  firefox-esr jq libjq1 libonig5\nUnpacking firefox-esr (128.6.0esr-1) ...\nSetting up libonig5:amd64 (6.9.9-1+b1) ...\nSetting up firefox-esr (128.6.0esr-1) ...\n"
}

func staged(now time.Time) report.Status {
	upgraded := &packages.Summary{Count: packages.Count{Upgraded: 24, Added: 1}, First: []packages.Change{
		{Op: packages.Upgraded, Name: "linux-image-amd64", From: "6.12.9-1", To: "6.12.10-1"}, {Op: packages.Upgraded, Name: "firefox-esr", From: "128.5", To: "128.6"}, {Op: packages.Added, Name: "jq", To: "1.7.1-3"},
	}}
	generation := func(image string, n int, age time.Duration) report.GenerationStatus {
		return report.GenerationStatus{Generation: n, Deployment: fmt.Sprintf("%d%s", n, "c41f09aa3be7d5518f6e"), Entry: fmt.Sprintf("gitboot-%s-%d", image, n), Revision: hash, Created: now.Add(-age)}
	}
	first, second, third := generation("desktop", 12, time.Hour), generation("desktop", 11, 26*time.Hour), generation("desktop", 7, 40*24*time.Hour)
	first.Packages, second.Booted, third.Pin = upgraded, true, &state.Pin{Label: "before the upgrade", Since: now}
	second.Packages = &packages.Summary{Count: packages.Count{Upgraded: 3}}
	broken := generation("router", 2, 90*24*time.Hour)
	broken.Damaged, broken.Hidden = "a layer is missing", "it would not boot"
	return report.Status{
		Reboot: report.Reboot{Needed: true, Reason: "generation 12 of desktop boots next, and 11 runs"},
		Waiting: &report.WaitingStatus{Revision: "5be1c30d77aa01", Since: now.Add(-2 * time.Hour), Holds: []plan.Hold{{Why: "to be approved"}},
			Actions: []plan.Action{{Kind: plan.AddDeployment, Image: "desktop", Generation: 13, Reason: "kernel arguments"}, {Kind: plan.WriteMenu, Reason: "entries change"}}},
		Machine: "laptop", Revision: hash, Stage: "/srv/gitboot", Mode: "managed", Default: first.Entry,
		Images: []report.ImageStatus{
			{Name: "desktop", Digest: "sha256:9f2c41d8a7b3e605", Generations: []report.GenerationStatus{first, second, third}},
			{Name: "router", Digest: "sha256:1be07c5529fd4a83", Tag: "12.4", Within: "~12", Signed: true, Checked: now.Add(-20 * time.Minute), Generations: []report.GenerationStatus{generation("router", 3, 9*24*time.Hour), broken}},
		},
		Builds: []report.BuildStatus{{Image: "desktop", Built: now.Add(-time.Hour)}},
		Pushes: []report.PushStatus{{Image: "desktop", Ref: "registry.lan/desktop:nightly", Digest: "sha256:9f2c41d8a7b3e605"}},
	}
}

func past(now time.Time) (out []state.Run) {
	for i := range 12 {
		began := now.Add(-time.Duration(i*i) * 7 * time.Hour / 3).Add(-time.Hour)
		run := state.Run{Part: "machine", Trigger: "change", Revision: hash, Began: began, Ended: began.Add(1800 * time.Millisecond), Steps: []state.Step{
			{Action: plan.Action{Kind: plan.AddLayer, Image: "desktop", Bytes: 4 << 20}},
			{Action: plan.Action{Kind: plan.AddDeployment, Image: "desktop", Generation: 12 - i, Reason: "the hook \"hostname\" changed"}},
			{Action: plan.Action{Kind: plan.WriteMenu, Reason: "desktop has a new generation"}},
		}}
		switch i % 4 {
		case 1:
			run.Part, run.Trigger, run.Ended = "workshop", "schedule", began.Add(11*time.Minute+4*time.Second)
			run.Steps = []state.Step{{Action: plan.Action{Kind: plan.BuildImage, Image: "desktop", Reason: "its schedule is due"}}, {Action: plan.Action{Kind: plan.PushImage, Image: "desktop", Ref: "registry.lan/desktop:nightly"}}}
		case 3:
			run.Failed = map[string]string{"kiosk": "pull ghcr.io/example/kiosk:stable: the registry answers 401 Unauthorized"}
		}
		out = append(out, run)
	}
	return out
}
