package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/tests/lab"
)

// location stands for the stage's file system: a computer with an overlay as
// its root could not look it up, and no machine boots from these stages.
const location = "UUID=5a7e0000-0000-4000-8000-000000000001:/gitboot"

// A world is a config repo with one machine, and that machine's stage.
type world struct {
	site  *site
	repo  *lab.Repo
	stage string
	boot  string
	ref   string
	extra string
}

// config is a small fleet: one machine, one image, two hooks.
const config = `[image.os]
pull     = %q
insecure = true
keep     = 10
%s
[machine.bench]
images = ["os"]
hooks  = ["hostname", "motd"]
vars   = { motd = "hello" }

[hook.motd]
[[hook.motd.file]]
path     = "/etc/motd"
template = "{{ .Vars.motd }}\n"
`

// newWorld makes a world whose image is ref; extra are more settings of it.
func (s *site) newWorld(ctx context.Context, ref, extra string) (*world, error) {
	w, err := s.configured(ctx, fmt.Sprintf(config, ref, extra))
	if err == nil {
		w.ref, w.extra = ref, extra
	}
	return w, err
}

// configured makes a world of a config.
func (s *site) configured(ctx context.Context, text string) (*world, error) {
	s.worlds++
	dir := s.path(fmt.Sprintf("world%d", s.worlds))
	w := &world{site: s, stage: filepath.Join(dir, "stage"), boot: filepath.Join(dir, "grub")}
	if err := os.MkdirAll(w.boot, 0o755); err != nil {
		return nil, err
	}
	var err error
	if w.repo, err = lab.NewRepo(ctx, filepath.Join(dir, "config")); err != nil {
		return nil, err
	}
	return w, w.commit(ctx, text)
}

func (w *world) commit(ctx context.Context, text string) error {
	if err := w.repo.Write("gitboot.toml", text); err != nil {
		return err
	}
	_, err := w.repo.Commit(ctx, "Change the fleet")
	return err
}

// want commits another reference.
func (w *world) want(ctx context.Context, ref string) error {
	w.ref = ref
	return w.commit(ctx, fmt.Sprintf(config, ref, w.extra))
}

// args are gitboot's arguments in this world.
func (w *world) args(words ...string) []string {
	return slices.Concat([]string{w.site.gitboot}, words, []string{
		"--repo", w.repo.Dir, "--machine", "bench",
		"--stage", w.stage, "--boot", w.boot, "--stage-location", location,
	})
}

// reconcile runs gitboot once and makes sure that it changed something.
func (w *world) reconcile(ctx context.Context) (usage, error) {
	before := w.menu()
	u, err := command(ctx, w.args("reconcile", "--once")...)
	if err == nil && w.menu() == before {
		err = fmt.Errorf("gitboot reconcile wrote no menu into %s", w.stage)
	}
	return u, err
}

// menu is the menu's content, empty if there is none.
func (w *world) menu() string {
	data, _ := os.ReadFile(filepath.Join(w.stage, "boot", "gitboot.cfg"))
	return string(data)
}

// ours is the side that reconciles after prepare.
func (w *world) ours(prepare func(ctx context.Context, round int) error) side {
	return side{
		command: shown("reconcile --once"),
		prepare: prepare,
		run:     func(ctx context.Context, _ int) (usage, error) { return w.reconcile(ctx) },
	}
}

// cold prepares a run onto a new stage, beside the old one so that removing
// that is not measured.
func (w *world) cold(context.Context, int) error {
	for _, dir := range []string{w.stage, w.boot} {
		if err := fresh(dir); err != nil {
			return err
		}
	}
	return os.Remove(w.stage)
}

// shown is how a reader would type one of gitboot's commands.
func shown(words string) string {
	return "gitboot " + strings.TrimSpace(words) + " --repo REPO --machine bench --stage STAGE"
}
