package reconciler

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/workshop"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// TestWhatValidatesConverges draws config repos (generate_test.go) and holds
// the promise: what validate passes, no later step refuses for what the repo
// says. What depends on a registry, an engine or an image's content is not
// drawn.
func TestWhatValidatesConverges(t *testing.T) {
	seeds := 3000
	if testing.Short() {
		seeds = 300
	}
	dir := t.TempDir()
	valid := 0
	for seed := range seeds {
		fsys := draw(rand.New(rand.NewPCG(uint64(seed), 1)))
		passed, err := keepsPromise(t, dir, fsys)
		if err != nil {
			t.Errorf("seed %d: %v\n%s", seed, err, listing(fsys))
		}
		if passed {
			valid++
		}
	}
	t.Logf("%d of %d config repos are valid", valid, seeds)
	if valid < seeds/5 || valid > seeds*9/10 {
		t.Errorf("%d of %d config repos are valid: too few or too many to find anything", valid, seeds)
	}
}

func keepsPromise(t *testing.T, dir string, fsys fs.FS) (passed bool, err error) {
	var problems spec.Problems
	fleet, err := spec.Load(t.Context(), fsys)
	if errors.As(err, &problems) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("load: %w", err)
	}
	var all []*spec.Wants
	for _, name := range fleet.Machines() {
		wants, err := fleet.Resolve(t.Context(), name)
		if errors.As(err, &problems) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("resolve: %w", err)
		}
		all = append(all, wants)
	}
	for _, wants := range all {
		m := &machine.Machine{Name: wants.Machine, Stage: &stage.Stage{Layout: stage.Layout(dir)}, Log: slog.New(slog.DiscardHandler)}
		if err := errors.Join(rendersHooks(t, m, wants), rendersBuilds(wants, fsys), parsesReferences(wants), bootsEntries(wants)); err != nil {
			return true, fmt.Errorf("machine %q: %w", wants.Machine, err)
		}
	}
	return true, nil
}

func rendersHooks(t *testing.T, m *machine.Machine, wants *spec.Wants) error {
	for _, want := range wants.Images {
		input := m.HookInput(want)
		input.TempDir = ""
		out, err := hooks.Render(t.Context(), input)
		if err != nil {
			return fmt.Errorf("render hooks of image %q: %w", want.Name, err)
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
	return nil
}

func rendersBuilds(wants *spec.Wants, fsys fs.FS) error {
	for _, want := range workshop.Order(wants) {
		if _, err := recipe.Prepare(workshop.Recipe(want, fsys, "")); err != nil {
			return fmt.Errorf("render build: %w", err)
		}
	}
	return nil
}

func parsesReferences(wants *spec.Wants) error {
	for _, want := range wants.Images {
		var refs []string
		if want.Pull != nil {
			refs = append(refs, want.Pull.Ref)
		}
		if b := want.Build; b != nil && b.FromRef != "" {
			refs = append(refs, b.FromRef)
		}
		if b := want.Build; b != nil && b.Push != nil {
			refs = append(refs, b.Push.Ref)
		}
		for _, ref := range refs {
			if _, err := name.ParseReference(ref); err != nil {
				return fmt.Errorf("reference %q: %w", ref, err)
			}
		}
	}
	return nil
}

// bootsEntries writes a menu of what the machine wants, and reads what process
// 1 would be given.
func bootsEntries(wants *spec.Wants) error {
	place := boot.Filesystem{UUID: "0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d", Type: "ext4", Path: "/srv/" + strings.Repeat("p", 120)}
	m := boot.Menu{Stage: place, Mode: wants.Boot.Mode, Timeout: wants.Boot.Timeout}
	for i, want := range wants.Images {
		if err := menu.Check(wants.Machine, want, place); err != nil {
			return err
		}
		object := deployment.Object{SHA256: fmt.Sprintf("%064x", i), Size: 1}
		manifest := &deployment.Manifest{
			Version: deployment.Version, Image: want.Name, Kernel: object, Initramfs: object, Layers: []deployment.Object{object},
			KernelArgs: want.KernelArgs, Root: deployment.Root{TmpfsSize: want.TmpfsSize},
		}
		text, err := manifest.Canonical()
		if err != nil {
			return err
		}
		e := menu.Entry(want.Name, wants.Machine, state.Generation{N: 1, Deployment: deployment.ID(text)}, manifest, place)
		m.Images = append(m.Images, boot.MenuImage{Name: want.Name, Entries: []boot.Entry{e}})
		if err := readsBack(e, wants.Machine); err != nil {
			return err
		}
	}
	m.Choose("")
	text, err := grub.Render(m)
	if err != nil {
		return err
	}
	if got := bytes.Count(text, []byte("\nmenuentry ")); got != len(m.Images) {
		return fmt.Errorf("the menu has %d entries, and %d images were wanted", got, len(m.Images))
	}
	return nil
}

func readsBack(e boot.Entry, machine string) error {
	words, err := deployment.Words(filepath.Join("/", e.Kernel), e.Args)
	if err != nil {
		return err
	}
	for i, word := range words {
		if strings.Contains(word, " ") {
			words[i] = `"` + word + `"` // as GRUB does
		}
	}
	c, ignored, err := deployment.ParseCmdline(strings.Join(words, " "))
	switch {
	case err != nil:
		return err
	case len(ignored) > 0:
		return fmt.Errorf("process 1 ignores %v", ignored)
	case c.Machine != machine || !strings.Contains(e.ID, plan.Short(c.Deployment)):
		return fmt.Errorf("process 1 reads machine %q and deployment %s", c.Machine, c.Deployment)
	}
	return nil
}
