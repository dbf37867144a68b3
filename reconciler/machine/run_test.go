package machine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/lab"
)

// Who is to wait for another's lock does, and says so; it then finds out anew what
// there is to do.
func TestRunWaits(t *testing.T) {
	h := newHouse(t)
	var log bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&log, nil))
	w := h.wants(t, "1", oneImage)
	lock, err := h.Stage.Lock(t.Context(), false)
	must(t, err)
	tired, end := context.WithCancel(t.Context())
	end()
	if _, err := h.lock(tired, true); !errors.Is(err, context.Canceled) || !strings.Contains(log.String(), "another run holds the stage's lock; waiting until it ends") {
		t.Errorf("%v\n%s", err, &log)
	}
	ran := make(chan error)
	go func() {
		result, err := h.Run(t.Context(), w, Request{Wait: true}, nil)
		if err == nil && !result.Changed {
			err = errors.New("nothing was changed")
		}
		ran <- err
	}()
	must(t, lock.Release())
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if got := h.numbers(t, "plain"); len(got) != 1 {
		t.Errorf("generations %v", got)
	}
}

// A run that is ended leaves the machine as it was, and is no failure; the record
// says how far it came.
func TestRunIsEnded(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", oneImage)
	menu, records := h.menu(t), h.records(t)
	h.now = h.now.Add(time.Millisecond) // within the second of the run before
	ctx, end := context.WithCancel(t.Context())
	defer end()
	h.Machine.Now = func() time.Time { // what looks at the clock under the lock
		if lock, err := h.Stage.Lock(t.Context(), false); err != nil {
			end()
		} else {
			must(t, lock.Release())
		}
		return h.now
	}
	result, err := h.Run(ctx, h.wants(t, "2", named("two")), Request{Trigger: "test"}, nil)
	if !errors.Is(err, context.Canceled) || result.Changed {
		t.Errorf("%+v %v", result, err)
	}
	h.NoteFailure(ctx, "r2", err)
	if h.menu(t) != menu || h.doc(t).Failure != nil || h.doc(t).Revision != strings.Repeat("1", 40) {
		t.Errorf("%+v", h.doc(t))
	}
	runs, err := state.Runs(h.Stage.Dir())
	if err != nil || len(runs) != records+1 || !strings.Contains(runs[0].Error, "context canceled") || runs[0].Part != "machine" || len(runs[0].Steps) > 0 {
		t.Errorf("%+v %v", runs[0], err)
	}
	h.Machine.Now = func() time.Time { return h.now }
	if _, _, result := h.run(t, "2", named("two")); !result.Changed {
		t.Errorf("%+v", result)
	}
}

func (h *house) records(t *testing.T) int {
	t.Helper()
	runs, err := state.Runs(h.Stage.Dir())
	must(t, err)
	return len(runs)
}

// What cannot be read or found ends a run before anything is done, with what to
// do about it.
func TestLookFails(t *testing.T) {
	for what, c := range map[string]struct {
		harm func(*house)
		want string
	}{
		"the machine's document":  {func(h *house) { must(t, os.WriteFile(h.Stage.StateFile(), []byte("{"), 0o600)) }, "move the file away"},
		"the workshop's document": {func(h *house) { must(t, os.WriteFile(h.Stage.Workshop().StateFile(), []byte("{"), 0o600)) }, "move the file away"},
		"no boot loader":          {func(h *house) { h.Book.Folder = filepath.Join(h.dir, "none") }, "find the boot loader: "},
		"no gitboot-init":         {func(h *house) { h.Init = filepath.Join(h.dir, "none") }, "name it with init in agent.toml"},
	} {
		h := newHouse(t)
		c.harm(h)
		result, err := h.Run(t.Context(), h.wants(t, "1", oneImage), Request{}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || result.Changed || result.Plan.To != strings.Repeat("1", 40) || len(result.Failed) > 0 {
			t.Errorf("%s: %+v %v", what, result, err)
		}
		if n := h.on(t); n > 0 || h.records(t) > 0 {
			t.Errorf("%s: %d deployments", what, n)
		}
	}
}

// An image of a registry is looked up when it is due or wanted, and stands when
// nobody answers.
func TestAPulledImage(t *testing.T) {
	h := newHouse(t)
	registry, err := lab.NewRegistry(filepath.Join(t.TempDir(), "registry"))
	must(t, err)
	defer registry.Close()
	push := func(archive string) string {
		t.Helper()
		_, digest, err := registry.Push(t.Context(), "desktop:1", nil, lab.Layer{Path: filepath.Join(h.dir, archive)})
		must(t, err)
		return digest
	}
	first := push("plain.tar")
	config := "[image.desktop]\npull = \"" + registry.Addr + "/desktop:1\"\ninsecure = true\nupdate = \"0 3 * * *\"\nplatform = \"linux/amd64\"\n[machine.laptop]\nimages = [\"desktop\"]\n"
	digest := func() string { return h.doc(t).Images["desktop"].Newest().Inputs.ImageDigest }
	if _, _, result := h.run(t, "1", config); len(result.Failed) > 0 || digest() != first {
		t.Fatalf("%+v", result)
	}
	second := push("other.tar")
	if _, _, result := h.run(t, "1", config); result.Changed || digest() != first {
		t.Errorf("not due: %+v", result)
	}
	h.now = h.now.Add(24 * time.Hour)
	if _, _, result := h.run(t, "1", config); !result.Changed || digest() != second || !h.doc(t).Images["desktop"].Origin.Checked.Equal(h.now) {
		t.Errorf("due: %+v", result)
	}
	push("plain.tar")
	result, err := h.Run(t.Context(), h.wants(t, "1", config), Request{Update: true}, nil)
	if err != nil || !result.Changed || digest() != first {
		t.Errorf("wanted: %+v %v", result, err)
	}
	// Gone, it is looked for in vain: what is there stays, and boots.
	must(t, registry.Close())
	h.Find.Options.Timing.Attempts = 1
	menu := h.menu(t)
	if result, err = h.Run(t.Context(), h.wants(t, "1", config), Request{Update: true}, nil); err != nil || result.Failed["desktop"] == nil || h.menu(t) != menu || h.doc(t).Images["desktop"].Failure == nil {
		t.Errorf("%+v %v", result, err)
	}
	if _, _, result := h.run(t, "1", config); len(result.Failed) > 0 || h.doc(t).Images["desktop"].Failure != nil {
		t.Errorf("without being looked up it fails: %+v", result)
	}
}

// Without room nothing is fetched, and what nothing reaches makes room first.
func TestRoom(t *testing.T) {
	h := newHouse(t)
	h.Stage.Reserve = 1 << 60
	_, _, result := h.run(t, "1", oneImage)
	if err := result.Failed["plain"]; err == nil || !strings.HasPrefix(err.Error(), "reserve room: ") || h.on(t) > 0 {
		t.Errorf("%+v", result)
	}
	h.Stage.Reserve = 0
	if _, _, result := h.run(t, "1", oneImage); len(result.Failed) > 0 {
		t.Errorf("%+v", result)
	}
}

// An archive that was downloaded goes when no image is made of it any more.
func TestDownloadsAreRemoved(t *testing.T) {
	h := newHouse(t)
	h.Find.Options.CacheDir = h.Stage.Downloads()
	url, sum := h.serve(t, "other.tar")
	served := strings.Replace(oneImage, `archive = "./plain.tar"`, "archive = \""+url+"\"\nsha256 = \""+sum+"\"", 1)
	kept := func() int {
		found, err := os.ReadDir(h.Stage.Downloads())
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return len(found)
	}
	if h.run(t, "1", served); kept() != 1 {
		t.Errorf("%d archives are kept", kept())
	}
	if h.run(t, "2", strings.Replace(served, `"one"`, `"two"`, 1)); kept() != 1 {
		t.Errorf("%d archives are kept", kept())
	}
	if h.run(t, "3", oneImage); kept() != 0 {
		t.Errorf("%d archives are kept", kept())
	}
}

// What people change needs the lock, what there is, and a place for the menu.
func TestChangesFail(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", twoImages)
	changes := map[string]func() error{
		"remove":      func() error { _, err := h.Machine.Remove(t.Context(), "other", false); return err },
		"set-default": func() error { _, err := h.SetDefault(t.Context(), "other", false); return err },
		"import":      func() error { _, err := h.Import(t.Context(), strings.NewReader(""), false); return err },
	}
	lock, err := h.Stage.Lock(t.Context(), false)
	must(t, err)
	for what, change := range changes {
		if err := change(); !errors.Is(err, stage.ErrLocked) {
			t.Errorf("%s beside another: %v", what, err)
		}
	}
	if _, _, err := h.Hooks(t.Context(), spec.Image{Name: "plain"}, false, &bytes.Buffer{}); !errors.Is(err, stage.ErrLocked) {
		t.Errorf("hooks beside another: %v", err)
	}
	must(t, lock.Release())
	folder := h.Book.Folder
	h.Book.Folder = filepath.Join(h.dir, "none")
	for what, change := range changes {
		if err := change(); err == nil || !strings.HasPrefix(err.Error(), "find the boot loader: ") {
			t.Errorf("%s without a boot loader: %v", what, err)
		}
	}
	h.Book.Folder = folder
	text, err := os.ReadFile(h.Stage.StateFile())
	must(t, err)
	must(t, os.WriteFile(h.Stage.StateFile(), []byte("{"), 0o600))
	for what, change := range changes {
		if err := change(); err == nil || !strings.Contains(err.Error(), "move the file away") {
			t.Errorf("%s without a document: %v", what, err)
		}
	}
	must(t, os.WriteFile(h.Stage.StateFile(), text, 0o600))
	if err := h.Export(t.Context(), "nothing", &bytes.Buffer{}); !errors.As(err, new(*state.NameError)) {
		t.Errorf("export: %v", err)
	}
	if lock, err = h.Stage.Lock(t.Context(), false); err != nil {
		t.Fatalf("a change that failed keeps the lock: %v", err)
	}
	must(t, lock.Release())
}

// A server that takes long is nobody's failure, and the others are published.
func TestAnImageIsComing(t *testing.T) {
	h := newHouse(t)
	h.Find.Options.CacheDir = h.Stage.Downloads()
	h.Find.Lookups = origin.NewLookups(t.Context(), 2*time.Second)
	defer h.Find.Lookups.End()
	let := make(chan struct{})
	url, sum := h.serveLate(t, "other.tar", let)
	config := strings.Replace(twoImages, `archive = "./other.tar"`, "archive = \""+url+"\"\nsha256 = \""+sum+"\"", 1)
	w := h.wants(t, "1", config)
	result, err := h.Run(t.Context(), w, Request{}, nil)
	if err != nil || !errors.As(result.Failed["other"], new(*origin.ComingError)) || !strings.Contains(h.menu(t), "plain, generation 1") {
		t.Errorf("%+v %v", result, err)
	}
	close(let)
	if !h.Find.Lookups.Wait(t.Context()) {
		t.Fatal("nothing is waited for")
	}
	if result, err = h.Run(t.Context(), w, Request{}, nil); err != nil || len(result.Failed) > 0 || !strings.Contains(h.menu(t), "other, generation 1") {
		t.Errorf("%+v %v", result, err)
	}
}
