package report

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newBook(t *testing.T) *menu.Book {
	t.Helper()
	grub := t.TempDir()
	must(t, os.WriteFile(filepath.Join(grub, "grub.cfg"), nil, 0o644))
	st, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	must(t, err)
	return &menu.Book{Stage: st, Place: "/gitboot", Folder: grub, Location: &boot.Filesystem{UUID: "1111-2222", Path: "/gitboot"}, Log: slog.New(slog.DiscardHandler)}
}

// add stages a generation of layers that hold the given words.
func add(t *testing.T, st *stage.Stage, doc *state.Machine, image string, n int, words ...string) {
	t.Helper()
	object := func(word string) deployment.Object {
		o, err := st.AddFile(t.Context(), strings.NewReader(word))
		must(t, err)
		return o
	}
	m := &deployment.Manifest{Version: deployment.Version, Image: image, Kernel: object("kernel"), Initramfs: object("initramfs"), KernelVersion: "6.1"}
	for _, word := range words {
		m.Layers = append(m.Layers, object(word))
	}
	id, err := st.Publish(m)
	must(t, err)
	doc.Image(image).Add(state.Generation{N: n, Deployment: id, Revision: "r1", Created: noon, Inputs: plan.Inputs{ImageDigest: "sha256:d"}})
}

// asNoted is of a machine of which no more has become known.
func asNoted(context.Context, *state.Machine) {}

// What is not there is shown as such, and its lists are lists.
func TestNothing(t *testing.T) {
	got, err := Of(t.Context(), newBook(t), asNoted)
	must(t, err)
	text, err := json.Marshal(got)
	must(t, err)
	if want := `{"machine":"","revision":"","stage":"/gitboot","mode":"menu","loader":"grub","reboot":{"needed":false},"images":[],"builds":[],"pushes":[]}`; string(text) != want {
		t.Errorf("%s", text)
	}
}

// A status has images as the menu shows them, newest generations first, and all
// that was built and published by name.
func TestStatus(t *testing.T) {
	book := newBook(t)
	doc := &state.Machine{Version: state.Version, Machine: "laptop", Revision: "r1", Mode: "managed", Order: []string{"router", "desktop"}, Images: map[string]*state.Image{}}
	add(t, book.Stage, doc, "desktop", 1, "one")
	add(t, book.Stage, doc, "desktop", 2, "two")
	add(t, book.Stage, doc, "router", 1, "three")
	doc.Image("router").Failure = &state.Failure{Message: "no network", Since: noon}
	doc.Image("router").Origin = state.Origin{Digest: "sha256:d", Checked: noon}
	must(t, doc.Save(book.Stage.Dir(), nil))
	must(t, book.Publish(t.Context(), *book.Location, doc))
	add(t, book.Stage, doc, "desktop", 3, "four") // the menu does not have it yet
	must(t, doc.Save(book.Stage.Dir(), nil))
	gone := doc.Images["desktop"].Generations[0]
	must(t, book.Stage.RemoveDeployment(gone.Deployment))
	book.Booted = doc.Images["desktop"].Generations[1].Deployment
	tries := plan.Tries{Attempts: 2, Next: noon, Key: "secret of ours"}
	made := &state.Workshop{Version: state.Version, Failure: &state.Failure{Message: "the disk was full"}, Builds: map[string]*state.Build{
		"desktop": {Digest: "sha256:b", Built: noon, Revision: "r1", Failure: &state.Failure{Message: "step 1 failed", Since: noon, Tries: tries}},
		"base":    {Push: &state.Push{Ref: "r.lan/base:1", Tag: "1-x", Digest: "sha256:p", Time: noon, Failure: &state.Failure{Message: "no route", Since: noon, Tries: tries}}},
	}}
	must(t, made.Save(book.Stage.Dir()))
	got, err := Of(t.Context(), book, asNoted)
	must(t, err)

	if got.Failure == nil || got.Failure.Message != "the disk was full" || got.Default != boot.EntryID("router", doc.Images["router"].Newest().Deployment) || got.Machine != "laptop" || got.Booted != book.Booted {
		t.Errorf("%+v", got)
	}
	if r := got.Reboot; !r.Needed || r.Running.Name() != "desktop:2" || r.Next.Name() != "router:1" {
		t.Errorf("%+v", r)
	}
	var lines []string
	for _, img := range got.Images {
		for _, g := range img.Generations {
			line := img.Name + " " + string(rune('0'+g.Generation))
			if g.Booted {
				line += " booted"
			}
			if g.Damaged != "" {
				line += " damaged: " + g.Damaged
			}
			if g.Hidden != "" {
				line += " hidden: " + strings.SplitAfter(g.Hidden, "menu")[1]
			}
			lines = append(lines, line)
		}
	}
	want := []string{"router 1", "desktop 3 hidden: ; the next reconcile writes it", "desktop 2 booted", "desktop 1 damaged: generation 1 has no readable manifest"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if f := got.Images[0].Failure; f == nil || f.Message != "no network" || got.Images[0].Digest != "sha256:d" || !got.Images[0].Checked.Equal(noon) {
		t.Errorf("%+v", got.Images[0])
	}
	text, err := json.Marshal([]any{got.Builds, got.Pushes})
	must(t, err)
	if strings.Contains(string(text), "secret of ours") {
		t.Errorf("told is %s", text)
	}
	if b := got.Builds; len(b) != 2 || b[0].Image != "base" || b[1].Digest != "sha256:b" || b[1].Failure.Attempts != 2 || made.Builds["desktop"].Failure.Key == "" {
		t.Errorf("%+v", b)
	}
	if p := got.Pushes; len(p) != 1 || p[0].Image != "base" || p[0].Ref != "r.lan/base:1" || p[0].Tag != "1-x" || p[0].Failure.Message != "no route" {
		t.Errorf("%+v", p)
	}
	// The machine's own failure comes before the workshop's.
	doc.Failure = &state.Failure{Message: "no repo"}
	must(t, doc.Save(book.Stage.Dir(), nil))
	if got, err = Of(t.Context(), book, asNoted); err != nil || got.Failure.Message != "no repo" {
		t.Errorf("%+v %v", got.Failure, err)
	}
}

// A document that cannot be read is told, whoever's it is.
func TestStatusOfDamagedDocuments(t *testing.T) {
	for _, file := range []string{"state.json", "workshop/state.json"} {
		book := newBook(t)
		must(t, os.WriteFile(filepath.Join(book.Stage.Dir(), file), []byte("{"), 0o600))
		if _, err := Of(t.Context(), book, asNoted); err == nil || !strings.Contains(err.Error(), "move the file away") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Of two generations the layers are counted that are in both, or in one.
func TestCountLayers(t *testing.T) {
	object := func(name string, size int64) deployment.Object { return deployment.Object{SHA256: name, Size: size} }
	var d Diff
	d.countLayers([]deployment.Object{object("a", 1), object("b", 2), object("c", 4)}, []deployment.Object{object("a", 1), object("d", 8)})
	if d.Shared != (LayerCount{1, 1}) || d.Gone != (LayerCount{2, 6}) || d.New != (LayerCount{1, 8}) {
		t.Errorf("%+v", d)
	}
}

// What cannot be compared says which of the two it is, or which there are.
func TestCompareNothing(t *testing.T) {
	book := newBook(t)
	doc := &state.Machine{Version: state.Version, Images: map[string]*state.Image{}}
	add(t, book.Stage, doc, "desktop", 1, "no squashfs")
	add(t, book.Stage, doc, "desktop", 2, "nor this")
	must(t, doc.Save(book.Stage.Dir(), nil))
	for names, want := range map[[2]string]string{
		{"", "desktop:1"}:          "compare desktop:1: the stage has no generation before it",
		{"desktp", "desktop"}:      `did you mean "desktop"?`,
		{"desktop", "other"}:       "the stage has no generation",
		{"", "desktop"}:            "compare desktop:1: ",
		{"desktop:2", "desktop:1"}: "compare desktop:2: ",
	} {
		_, err := Compare(t.Context(), book.Stage, names[0], names[1])
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", names, err)
		}
	}
	must(t, book.Stage.RemoveDeployment(doc.Images["desktop"].Generations[0].Deployment))
	if _, err := Compare(t.Context(), book.Stage, "", "desktop"); !errors.Is(err, stage.ErrNoDeployment) {
		t.Error(err)
	}
	must(t, os.WriteFile(book.Stage.StateFile(), []byte("{"), 0o600))
	if _, err := Compare(t.Context(), book.Stage, "", "desktop"); err == nil || !strings.Contains(err.Error(), "move the file away") {
		t.Error(err)
	}
}
