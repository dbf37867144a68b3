package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/tests/lab"
)

// built is a fleet whose image is Debian and one line above it.
const built = `[image.base.build]
from      = "scratch"
bootstrap = ["cat", %q]

[image.os]
keep = 10
[image.os.build]
from = "image:base"
run  = ["echo hello %d > /etc/bench"]

[machine.bench]
images = ["os"]
hooks  = ["hostname"]
`

func (s *site) buildWorld(ctx context.Context) (*world, error) {
	return s.configured(ctx, fmt.Sprintf(built, s.rootfs, 0))
}

// build builds all images, and stages none.
func (w *world) build(ctx context.Context) (usage, error) {
	return command(ctx, w.args("image", "build", "--all")...)
}

// An engine is a buildah with a store of its own, which builds what gitboot
// renders.
type engine struct{ dir string }

// engine has the root file system as its image "base".
func (s *site) engine(ctx context.Context) (*engine, error) {
	if s.builder != nil {
		return s.builder, nil
	}
	e := &engine{dir: s.path("engine")}
	if err := fresh(filepath.Join(e.dir, "context")); err != nil {
		return nil, err
	}
	_, err := lab.Run(ctx, "bash", "-e", "-c", fmt.Sprintf(`
		%[1]s from --name work scratch
		%[1]s add work %[2]s /
		%[1]s commit --quiet work base
		%[1]s rm work`, e.buildah(), s.rootfs))
	if err != nil {
		return nil, err
	}
	s.undo = append(s.undo, func() error {
		_, err := lab.Run(context.Background(), "bash", "-c", e.buildah()+" rm --all")
		return err
	})
	s.builder = e
	return e, nil
}

func (e *engine) buildah() string {
	return fmt.Sprintf("buildah --root %[1]s/store --runroot %[1]s/run", e.dir)
}

// render saves what gitboot would execute.
func (e *engine) render(ctx context.Context, w *world) error {
	args := w.args("image", "render", "os")
	text, err := lab.Run(ctx, args[0], args[1:]...)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(e.dir, "Containerfile"), []byte(text), 0o600)
}

// side builds what w's config renders to.
func (e *engine) side(w *world) side {
	return side{
		command: "buildah build --isolation chroot --layers --timestamp 0 --build-arg GITBOOT_FROM=base --file Containerfile",
		prepare: func(ctx context.Context, _ int) error { return e.render(ctx, w) },
		run: func(ctx context.Context, _ int) (usage, error) {
			return script(ctx, fmt.Sprintf(`%s build --quiet --isolation chroot --layers --timestamp 0 --build-arg GITBOOT_FROM=localhost/base --file %[2]s/Containerfile %[2]s/context`,
				e.buildah(), e.dir))
		},
	}
}

func buildNothing(ctx context.Context, s *site, r row) (result, error) {
	w, err := s.buildWorld(ctx)
	if err != nil {
		return result{}, err
	}
	e, err := s.engine(ctx)
	if err != nil {
		return result{}, err
	}
	ours := side{command: shown("image build --all"), run: func(ctx context.Context, _ int) (usage, error) { return w.build(ctx) }}
	pairs, err := runPairs(ctx, r.pairs, ours, e.side(w))
	if err != nil {
		return result{}, err
	}
	took := medianWall(pairs, pair.ours)
	return result{
		Ours: describe(pairs, pair.ours), Theirs: describe(pairs, pair.theirs),
		Checks:   []check{{"under 0.3 s", seconds(took), took < 0.3}},
		Commands: []string{ours.command, e.side(w).command},
		Note:     "With an unchanged key gitboot does not ask the engine, so its whole run is the overhead.",
		Pairs:    pairs,
	}, nil
}

func buildLine(ctx context.Context, s *site, r row) (result, error) {
	w, err := s.buildWorld(ctx)
	if err != nil {
		return result{}, err
	}
	if _, err := w.reconcile(ctx); err != nil {
		return result{}, err
	}
	e, err := s.engine(ctx)
	if err != nil {
		return result{}, err
	}
	ours := w.ours(func(ctx context.Context, round int) error {
		return w.commit(ctx, fmt.Sprintf(built, s.rootfs, round+1))
	})
	theirs := e.side(w)
	pairs, err := runPairs(ctx, r.pairs, ours, theirs)
	if err != nil {
		return result{}, err
	}
	const allowed = 0.5 // seconds, for all that is not the engine's
	var ratios []float64
	for _, p := range pairs {
		ratios = append(ratios, (p.Ours.Wall.Seconds()-allowed)/p.Theirs.Wall.Seconds())
	}
	ratio := median(ratios)
	return result{
		Ours: describe(pairs, pair.ours), Theirs: describe(pairs, pair.theirs),
		Checks:   []check{{"at most 1.3 times and 0.5 s", number(ratio) + " times and 0.5 s", ratio <= 1.3}},
		Commands: []string{ours.command, theirs.command},
		Note:     "Ours: from the commit to the renamed menu. Both execute what `gitboot image render os` prints: the line, and the fixes of the root file system.",
		Pairs:    pairs,
	}, nil
}

// buildStage stages a base that is built, and lies in the engine's store.
func buildStage(ctx context.Context, s *site, r row) (result, error) {
	w, err := s.buildWorld(ctx)
	if err != nil {
		return result{}, err
	}
	e, err := s.engine(ctx)
	if err != nil {
		return result{}, err
	}
	ours := w.ours(func(ctx context.Context, round int) error {
		if err := w.cold(ctx, round); err != nil {
			return err
		}
		_, err := w.build(ctx)
		return err
	})
	out := s.path("exported")
	theirs := side{
		command: "buildah push --disable-compression base dir:exported && cat exported/* | zstd -3 -T2 -q > packed",
		prepare: func(context.Context, int) error { return fresh(out) },
		run: func(ctx context.Context, _ int) (usage, error) {
			return script(ctx, fmt.Sprintf("%s push --quiet --disable-compression localhost/base dir:%[2]s/image && cat %[2]s/image/* | zstd -3 -T2 -q > %[2]s/packed", e.buildah(), out))
		},
	}
	return timed(ctx, r, ours, theirs, func(ratio float64) check { return atMost(ratio, 1.5) })
}

func medianWall(pairs []pair, of func(pair) usage) float64 {
	var v []float64
	for _, p := range pairs {
		v = append(v, of(p).Wall.Seconds())
	}
	return median(v)
}
