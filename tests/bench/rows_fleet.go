package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/tests/lab"
)

// The two fleets: the larger one is ten times the smaller.
const (
	smallFleet  = 1_000
	largeFleet  = 10_000
	fleetImages = 200
)

// fleet makes a world whose config repo declares n machines, a file each, and
// 200 images.
func (s *site) fleet(ctx context.Context, n int) (*world, error) {
	ref, err := s.image(ctx, "zstd")
	if err != nil {
		return nil, err
	}
	w, err := s.newWorld(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	return w, writeFleet(ctx, w.repo, ref, n)
}

func writeFleet(ctx context.Context, repo *lab.Repo, ref string, n int) error {
	files := map[string]string{"gitboot.toml": fleetRoot(ref)}
	for i := range fleetImages {
		files[fmt.Sprintf("images/%03d.toml", i)] = fmt.Sprintf(
			"[image.os%03d]\npull        = %q\ninsecure    = true\nkernel_args = [\"quiet\", \"lab.image=%d\"]\n", i, ref, i)
	}
	for i := range n {
		files[fmt.Sprintf("machines/m%05d.toml", i)] = fmt.Sprintf(`[machine.m%05d]
profiles           = ["site%d"]
images             = ["os%03d", "os%03d"]
hooks_append       = ["motd"]
kernel_args_append = ["console=ttyS0"]
vars               = { motd = "number %d" }
`, i, i%10, i%fleetImages, (i*7+1)%fleetImages, i)
	}
	for name, text := range files {
		if err := repo.Write(name, text); err != nil {
			return err
		}
	}
	_, err := repo.Commit(ctx, "Grow the fleet")
	return err
}

func fleetRoot(ref string) string {
	var b strings.Builder
	b.WriteString("include = [\"machines/*.toml\", \"images/*.toml\"]\n\n")
	for i := range 10 {
		fmt.Fprintf(&b, "[profile.site%d]\nhooks = [\"hostname\"]\nvars  = { site = \"%d\" }\n\n", i, i)
	}
	b.WriteString("[hook.motd]\n[[hook.motd.file]]\npath     = \"/etc/motd\"\ntemplate = \"{{ .Vars.motd }} of {{ .Vars.site }}\\n\"\n\n")
	// The machine that every world has.
	fmt.Fprintf(&b, "[image.os]\npull     = %q\ninsecure = true\n\n[machine.bench]\nprofiles = [\"site0\"]\nimages   = [\"os\", \"os001\"]\n", ref)
	return b.String()
}

func fleetValidate(ctx context.Context, s *site, r row) (result, error) {
	return s.compareFleets(ctx, r, "gitboot validate DIR", func(w *world) []string {
		return []string{s.gitboot, "validate", w.repo.Dir}
	})
}

// fleetPlan compares plans of a revision that the stage's clone lacks, in which one machine
// has changed.
func fleetPlan(ctx context.Context, s *site, r row) (result, error) {
	var worlds []*world
	var sides []side
	for _, n := range []int{largeFleet, smallFleet} {
		w, work, err := s.stagedFleet(ctx, n)
		if err != nil {
			return result{}, err
		}
		worlds = append(worlds, w)
		sides = append(sides, side{
			command: shown("plan"),
			prepare: func(ctx context.Context, _ int) error {
				if err := work.Replace("machines/m00000.toml", "number ", "number 1"); err != nil { // one digit more
					return err
				}
				if _, err := work.Commit(ctx, "Change a machine"); err != nil {
					return err
				}
				_, err := work.Git(ctx, "push", "--quiet", w.repo.Dir, "HEAD:main")
				return err
			},
			run: func(ctx context.Context, _ int) (usage, error) { return command(ctx, w.args("plan")...) },
		})
	}
	res, err := timed(ctx, r, sides[0], sides[1], func(ratio float64) check { return atMost(ratio, 11) })
	if err != nil {
		return res, err
	}
	res.Note = "The repo is a bare one, and the stage has an earlier revision; in each new one another machine's file has changed."
	ours := sides[0]
	ours.run = func(ctx context.Context, _ int) (usage, error) { return withPeak(ctx, worlds[0].args("plan")...) }
	peaks, err := runAlone(ctx, 3, ours)
	if err != nil {
		return res, err
	}
	peak := medianOf(peaks, func(p pair) int64 { return p.Ours.Peak.Self })
	res.Checks = append(res.Checks, check{"under 80 MB of memory", megabytes(int64(peak)), peak < 80e6})
	return res, nil
}

// fleetIdle compares runs that have nothing to do.
func fleetIdle(ctx context.Context, s *site, r row) (result, error) {
	var sides []side
	for _, n := range []int{largeFleet, smallFleet} {
		w, _, err := s.stagedFleet(ctx, n)
		if err != nil {
			return result{}, err
		}
		sides = append(sides, side{command: shown("reconcile --once"), run: func(ctx context.Context, _ int) (usage, error) {
			return command(ctx, w.args("reconcile", "--once")...)
		}})
	}
	return timed(ctx, r, sides[0], sides[1], func(ratio float64) check { return atMost(ratio, 1.5) })
}

// stagedFleet has a fleet staged from a bare repo, which has no work tree in which edits
// would be looked for, and gives the repo that can be pushed to it from.
func (s *site) stagedFleet(ctx context.Context, n int) (w *world, work *lab.Repo, err error) {
	if w, err = s.fleet(ctx, n); err != nil {
		return nil, nil, err
	}
	bare := w.stage + ".git"
	if _, err := w.repo.Git(ctx, "clone", "--quiet", "--bare", w.repo.Dir, bare); err != nil {
		return nil, nil, err
	}
	work, w.repo = w.repo, &lab.Repo{Dir: bare}
	_, err = w.reconcile(ctx)
	return w, work, err
}

func (s *site) compareFleets(ctx context.Context, r row, words string, args func(*world) []string) (result, error) {
	var sides []side
	for _, n := range []int{largeFleet, smallFleet} {
		w, err := s.fleet(ctx, n)
		if err != nil {
			return result{}, err
		}
		sides = append(sides, side{command: words, run: func(ctx context.Context, _ int) (usage, error) {
			return command(ctx, args(w)...)
		}})
	}
	return timed(ctx, r, sides[0], sides[1], func(ratio float64) check { return atMost(ratio, 11) })
}
