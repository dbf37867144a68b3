package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A following says how an agent learns of a commit.
type following struct {
	https, building bool
	settings        string
	// hook tells it by a webhook.
	hook bool
	// median and worst are to be reached, 0 for no such bound.
	median, worst time.Duration
}

// agentCommit measures from the start of git commit of a hook to the renamed menu.
func agentCommit(f following) func(context.Context, *site, row) (result, error) {
	return func(ctx context.Context, s *site, r row) (res result, err error) {
		w, err := s.changing(ctx, "")
		if err != nil {
			return result{}, err
		}
		if f.building {
			if err := w.commit(ctx, buildingSlowly(w)); err != nil {
				return result{}, err
			}
		}
		repo, settings := w.repo.Dir, f.settings
		if f.https {
			server, err := s.serve(ctx, w.repo)
			if err != nil {
				return result{}, err
			}
			repo, settings = server.url, settings+fmt.Sprintf("ca_file = %q\n", server.ca)
		}
		var after func(context.Context) error
		if f.hook {
			dir := filepath.Dir(w.stage)
			secret, socket := filepath.Join(dir, "secret"), filepath.Join(dir, "hook.sock")
			if err := os.WriteFile(secret, []byte(hookSecret), 0o600); err != nil {
				return result{}, err
			}
			settings += fmt.Sprintf("[webhook]\nlisten = \"unix://%s\"\nsecret_file = %q\n", socket, secret)
			after = func(ctx context.Context) error {
				_, err := command(ctx, "curl", "--silent", "--fail", "--unix-socket", socket, "-X", "POST", "-H", "Authorization: Bearer "+hookSecret, "http://hook/hook/repo")
				return err
			}
		}
		a, err := w.follow(ctx, repo, settings, f.building)
		if err != nil {
			return result{}, err
		}
		defer func() { err = errors.Join(err, a.end()) }()
		var all []float64
		for n := range r.pairs {
			took, err := a.greet(ctx, fmt.Sprint(n), after)
			if err != nil {
				return result{}, err
			}
			fmt.Printf("    %2d: %s\n", n+1, took)
			all = append(all, took.Seconds())
		}
		res.Ours = fmt.Sprintf("median %s, longest %s", seconds(median(all)), seconds(slices.Max(all)))
		res.Commands = []string{"git commit …; until the menu is renamed"}
		if f.median > 0 {
			res.Checks = append(res.Checks, within("median", median(all), f.median))
		}
		res.Checks = append(res.Checks, within("longest", slices.Max(all), f.worst))
		return res, nil
	}
}

const hookSecret = "0123456789abcdef0123456789abcdef"

// buildingSlowly is a world's config with an image that takes two hours to build.
func buildingSlowly(w *world) string {
	text := fmt.Sprintf(config, w.ref, "") + "\n[image.slow.build]\nfrom = \"image:os\"\nrun  = [\"sleep 7200\"]\n"
	return strings.Replace(text, "images = [\"os\"]\n", "images = [\"os\"]\nbuilds = [\"slow\"]\n", 1)
}

func within(what string, took float64, limit time.Duration) check {
	return check{Target: fmt.Sprintf("%s within %s", what, limit), Figure: what + " " + seconds(took), Met: took <= limit.Seconds()}
}

// idleFor is how long an agent is watched that has nothing to do: some polls of a
// minute.
const idleFor = 4 * time.Minute

// agentIdle measures what an agent costs that has nothing to do.
func agentIdle(machines int, memory int64) func(context.Context, *site, row) (result, error) {
	return func(ctx context.Context, s *site, _ row) (res result, err error) {
		w, err := s.fleet(ctx, machines)
		if err != nil {
			return result{}, err
		}
		a, err := w.follow(ctx, w.repo.Dir, "", false)
		if err != nil {
			return result{}, err
		}
		defer func() { err = errors.Join(err, a.end()) }()
		before, err := a.cost()
		if err != nil {
			return result{}, err
		}
		watched := time.NewTimer(idleFor)
		defer watched.Stop()
		select {
		case <-ctx.Done():
			return result{}, ctx.Err()
		case <-watched.C:
		}
		after, err := a.cost()
		if err != nil {
			return result{}, err
		}
		share := 100 * (after.cpu - before.cpu).Seconds() / idleFor.Seconds()
		wakeups := float64(after.wakeups-before.wakeups) / idleFor.Seconds()
		res.Ours = fmt.Sprintf("%s resident, %s of its own", megabytes(after.resident), megabytes(after.private))
		res.Commands = []string{"gitboot agent, polling each minute, for " + idleFor.String()}
		res.Checks = []check{
			{fmt.Sprintf("under %s of memory", megabytes(memory)), megabytes(after.resident), after.resident < memory},
			{"under 0.05 % of a processor", number(share) + " %", share < 0.05},
			{"under 2 wakeups a second", number(wakeups), wakeups < 2},
		}
		return res, nil
	}
}
