package machine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage/bundle"
)

// A file that says what no config repo may is refused, and nothing of it is in the
// menu or the document.
func TestImportIsRefused(t *testing.T) {
	from, to := newHouse(t), newHouse(t)
	from.run(t, "1", oneImage)
	to.run(t, "1", twoImages)
	m := from.manifest(t, "plain", 1)
	m.KernelArgs = []string{"gitboot.deployment=" + strings.Repeat("0", 64)}
	id, err := from.Stage.Publish(m)
	must(t, err)
	var file bytes.Buffer
	must(t, bundle.Export(t.Context(), from.Stage, id, &file, nil))
	before, menu := to.doc(t), to.menu(t)
	_, err = to.Import(t.Context(), &file, false)
	if err == nil || !strings.Contains(err.Error(), "set by gitboot itself") {
		t.Error(err)
	}
	if !to.doc(t).Same(before) || to.menu(t) != menu || to.on(t) != 2 {
		t.Errorf("%d deployments, %+v", to.on(t), to.doc(t))
	}
}

// What is imported beside generations that there are is the next one, with what it
// changes; the config repo's own image then comes after it.
func TestImportBesideOthers(t *testing.T) {
	from, to := newHouse(t), newHouse(t)
	from.with(t, "plain.tar", dpkg("a=2"))
	to.with(t, "plain.tar", dpkg("a=1"))
	from.run(t, "1", oneImage)
	to.run(t, "1", oneImage)
	var file bytes.Buffer
	must(t, from.Export(t.Context(), "plain", &file))
	found, err := to.Import(t.Context(), &file, false)
	must(t, err)
	if found.N != 2 || found.Packages == nil || !strings.Contains(found.Packages.String(), "a 1 → 2") || found.From() != "imported" {
		t.Errorf("%+v", found)
	}
	_, _, result := to.run(t, "2", oneImage)
	if got := to.numbers(t, "plain"); len(got) != 2 || got[1] != 3 || result.Plan.Stagings[0].Reasons[0] != "the last generation was imported from a file" {
		t.Errorf("%v, %+v", got, result.Plan.Stagings)
	}
	if g := to.doc(t).Images["plain"].Generations[0]; !g.Imported {
		t.Errorf("what was imported is gone: %+v", g)
	}
}

// A transfer that is ended leaves nothing behind that is shown.
func TestImportIsEnded(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", oneImage)
	var file bytes.Buffer
	must(t, h.Export(t.Context(), "plain", &file))
	ended, end := context.WithCancel(t.Context())
	end()
	if err := h.Export(ended, "plain", &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("export: %v", err)
	}
	if _, err := h.Import(t.Context(), bytes.NewReader(file.Bytes()[:file.Len()/2]), false); err == nil {
		t.Error("half a file is one")
	}
	if got := h.numbers(t, "plain"); len(got) != 1 || h.on(t) != 1 {
		t.Errorf("%v, %d on the stage", got, h.on(t))
	}
	must(t, os.Remove(h.object(h.manifest(t, "plain", 1).Layers[0])))
	if err := h.Export(t.Context(), "plain", &bytes.Buffer{}); err == nil {
		t.Error("what is damaged goes out")
	}
}

// What is taken off the stage is out of the menu, with all that only it needed.
func TestRemove(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", twoImages)
	own := h.manifest(t, "other", 1).Layers[0]
	found, err := h.Machine.Remove(t.Context(), "other:1", false)
	if err != nil || found.Image != "other" || strings.Contains(h.menu(t), "other") || h.on(t) != 1 {
		t.Errorf("%+v %v", found, err)
	}
	if _, err := os.Stat(h.object(own)); err == nil {
		t.Error("its layer stays")
	}
	if _, err := os.Stat(h.object(h.manifest(t, "plain", 1).Kernel)); err != nil {
		t.Errorf("the kernel of both is gone: %v", err)
	}
	// The image is wanted still: the next run makes it again.
	if _, _, result := h.run(t, "1", twoImages); len(result.Plan.Stagings) != 1 || result.Plan.Stagings[0].Image != "other" {
		t.Errorf("%+v", result.Plan)
	}
}

// Of images that fail while others are staged nothing is claimed: neither surplus
// nor a change.
func TestAFailedImageKeepsItsSurplus(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", strings.Replace(twoImages, "keep = 1", "keep = 2", 1))
	h.run(t, "2", strings.NewReplacer("keep = 1", "keep = 2", `"one"`, `"two"`).Replace(twoImages))
	printed, _, result := h.run(t, "3", strings.NewReplacer("keep = 1", "keep = 1\nkernel = \"5.*\"", `"one"`, `"three"`).Replace(twoImages))
	if result.Failed["plain"] == nil || !strings.Contains(kinds(printed), string(plan.RemoveDeployment)) {
		t.Fatalf("printed %s, failed %v", kinds(printed), result.Failed)
	}
	if got := h.numbers(t, "plain"); len(got) != 2 || h.doc(t).Images["plain"].Newest().N != 2 {
		t.Errorf("generations %v", got)
	}
	for _, r := range result.Plan.Removals {
		if r.Image == "plain" {
			t.Errorf("claimed is %+v", r)
		}
	}
	if got := h.numbers(t, "other"); got[len(got)-1] != 3 {
		t.Errorf("generations %v", got)
	}
}

func TestImported(t *testing.T) {
	img := &state.Image{Generations: []state.Generation{{N: 4, Deployment: "a"}}}
	if again := imported(img, "desktop", state.Generation{Deployment: "a"}); again.N != 4 || len(img.Generations) != 1 {
		t.Errorf("%+v", again)
	}
	if next := imported(img, "desktop", state.Generation{Deployment: "b"}); next.N != 5 || next.Image != "desktop" || len(img.Generations) != 2 {
		t.Errorf("%+v", next)
	}
	if first := imported(&state.Image{}, "desktop", state.Generation{Deployment: "b"}); first.N != 1 {
		t.Errorf("%+v", first)
	}
	if wrong := wrongImported(&deployment.Manifest{Image: "desktop", KernelVersion: "6.1", Root: deployment.Root{}}); wrong != "" {
		t.Errorf("%s", wrong)
	}
}
