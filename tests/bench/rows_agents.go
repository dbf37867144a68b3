package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gitboot/gitboot/agent/trigger"
	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/tests/lab"
)

const (
	manyAgents = 1_000
	// pollEvery is an agent's own default, and watchAgents how long they are watched
	// when nothing happens.
	pollEvery   = time.Minute
	watchAgents = 3 * time.Minute
)

// agents measures what a thousand machines ask of one git server and one registry,
// when nothing happens, and for one commit. They are the agent's own code, all in
// this process; the servers are another.
func agents(ctx context.Context, s *site, _ row) (res result, err error) {
	dir := s.path("agents")
	if err := smallRoot(ctx, dir); err != nil {
		return res, err
	}
	at, err := s.startServers(dir)
	if err != nil {
		return res, err
	}
	repo, err := agentsRepo(ctx, dir, at)
	if err != nil {
		return res, err
	}
	first := filepath.Join(dir, "stage")
	r, err := s.agentOf(at, first)
	if err != nil {
		return res, err
	}
	if _, err := r.Run(ctx, reconciler.Request{Trigger: "bench"}); err != nil {
		return res, err
	}
	running, stop := context.WithCancel(ctx)
	var going sync.WaitGroup
	defer func() { stop(); going.Wait() }()
	var staged atomic.Int64
	for n := range manyAgents {
		stage := filepath.Join(dir, fmt.Sprintf("stage%04d", n))
		if _, err := lab.Run(ctx, "cp", "-a", first, stage); err != nil {
			return res, err
		}
		r, err := s.agentOf(at, stage)
		if err != nil {
			return res, err
		}
		going.Go(func() {
			looks := trigger.Run(running, trigger.Options{Every: pollEvery, Name: fmt.Sprintf("m%04d", n)})
			<-looks // all were started in one moment, which no fleet is
			follow(running, r, looks, &staged)
		})
	}
	if err := ctxio.Sleep(ctx, pollEvery); err != nil { // until each has looked once
		return res, err
	}
	return watchThem(ctx, at, repo, &staged)
}

// smallRoot writes dir/root.tar, a root file system that is hardly more than what
// gitboot needs of one.
func smallRoot(ctx context.Context, dir string) error {
	root := filepath.Join(dir, "root")
	if err := lab.FakeKernel(root, "6.1.0-bench", true); err != nil {
		return err
	}
	_, err := lab.Run(ctx, "tar", "--sort=name", "--owner=0", "--group=0", "-C", root, "-cf", filepath.Join(dir, "root.tar"), ".")
	return err
}

// agentsRepo is the config repo of all: one image, and a hook of each machine.
func agentsRepo(ctx context.Context, dir string, at servers) (*lab.Repo, error) {
	repo, err := lab.NewRepo(ctx, filepath.Join(dir, "fleet"))
	if err != nil {
		return nil, err
	}
	if err := repo.Write("gitboot.toml", fmt.Sprintf(config, at.Image, "update = \"* * * * *\"\n")); err != nil {
		return nil, err
	}
	_, err = repo.Commit(ctx, "Begin")
	return repo, err
}

// agentOf is an agent's reconciler with a stage of its own.
func (s *site) agentOf(at servers, stage string) (*reconciler.Reconciler, error) {
	grub := stage + ".grub"
	if err := os.MkdirAll(grub, 0o755); err != nil {
		return nil, err
	}
	return reconciler.New(reconciler.Config{
		Source:  source.Options{URL: at.Git + "/fleet", CAFile: at.CA},
		Machine: "bench", Stage: stage, Boot: grub, Init: s.path("bin", "gitboot-init"),
		Location: &boot.Filesystem{UUID: "5a7e0000-0000-4000-8000-000000000001", Path: "/gitboot"},
		Timing:   image.Timing{Attempts: 2}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

// follow is what an agent does, as far as its servers notice.
func follow(ctx context.Context, r *reconciler.Reconciler, looks <-chan string, staged *atomic.Int64) {
	asks := make(chan reconciler.Ask)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case why := <-looks:
				select {
				case <-ctx.Done():
				case asks <- reconciler.Ask{Trigger: why}:
				}
			}
		}
	}()
	r.Follow(ctx, asks, reconciler.Watch{Tell: func(e event.Event) {
		if e.Kind == event.Staged {
			staged.Add(1)
		}
	}})
}

// watchThem watches them at rest, and then through a commit.
func watchThem(ctx context.Context, at servers, repo *lab.Repo, staged *atomic.Int64) (res result, err error) {
	before, err := at.traffic(ctx)
	if err != nil {
		return res, err
	}
	if err := ctxio.Sleep(ctx, watchAgents); err != nil {
		return res, err
	}
	rest, err := at.traffic(ctx)
	if err != nil {
		return res, err
	}
	if err := repo.Replace("gitboot.toml", "hello", "hello all"); err != nil {
		return res, err
	}
	if _, err := repo.Commit(ctx, "Greet all"); err != nil {
		return res, err
	}
	began := time.Now()
	for staged.Load() < manyAgents && time.Since(began) < 5*time.Minute {
		if err := ctxio.Sleep(ctx, 100*time.Millisecond); err != nil {
			return res, err
		}
	}
	took := time.Since(began)
	changed, err := at.traffic(ctx)
	if n := staged.Load(); err == nil && n < manyAgents {
		err = fmt.Errorf("only %d of %d machines have followed after %s", n, manyAgents, took)
	}
	return agentsResult(before, rest, changed, took), errors.Join(err)
}

func agentsResult(before, rest, changed traffic, took time.Duration) (res result) {
	polls := float64(manyAgents) * watchAgents.Minutes()
	requests := func(a, b asked) float64 { return float64(b.Requests-a.Requests) / polls }
	bytes := func(a, b asked) float64 { return float64(b.Bytes-a.Bytes) / polls }
	cpu := (rest.CPU - before.CPU).Seconds() * 1000 / polls
	busiest, mean := 0, float64(rest.Git.Requests-before.Git.Requests)/watchAgents.Seconds()
	for second, n := range rest.Git.Seconds {
		if n-before.Git.Seconds[second] > busiest {
			busiest = n - before.Git.Seconds[second]
		}
	}
	res.Ours = fmt.Sprintf("a poll: %.2f requests and %.0f bytes of git, %.2f and %.0f of the registry; %.2f ms of the servers' processor",
		requests(before.Git, rest.Git), bytes(before.Git, rest.Git), requests(before.Registry, rest.Registry), bytes(before.Registry, rest.Registry), cpu)
	res.Note = fmt.Sprintf("In the busiest second git was asked %d times, %.1f in the mean. For one commit each machine asked git %.2f times, for %.0f bytes, and all had followed after %s.",
		busiest, mean, float64(changed.Git.Requests-rest.Git.Requests)/manyAgents, float64(changed.Git.Bytes-rest.Git.Bytes)/manyAgents, took.Round(time.Second))
	res.Commands = []string{fmt.Sprintf("%d agents, polling each minute, for %s; then one commit", manyAgents, watchAgents)}
	res.Checks = []check{
		{"one request of git a poll", fmt.Sprintf("%.2f", requests(before.Git, rest.Git)), requests(before.Git, rest.Git) < 1.05},
		{"the busiest second at most three times the mean", fmt.Sprintf("%.1f times", float64(busiest)/mean), float64(busiest) <= 3*mean},
		{"all have followed a commit within 90 s", took.Round(time.Second).String(), took < 90*time.Second},
	}
	return res
}
