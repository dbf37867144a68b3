package upkeep

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/stage"
)

// newStage has a deployment of two objects, and one object that nothing needs.
func newStage(t *testing.T) (cfg reconciler.Config, id string, needed, stray deployment.Object) {
	t.Helper()
	st, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(content string) deployment.Object {
		o, err := st.AddFile(t.Context(), strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	needed, stray = add("kernel"), add("stray")
	m := &deployment.Manifest{Version: deployment.Version, Image: "desktop", KernelVersion: "6.1.0", Kernel: needed, Initramfs: add("initramfs"), Layers: []deployment.Object{add("layer")}}
	if id, err = st.Publish(m); err != nil {
		t.Fatal(err)
	}
	return reconciler.Config{Stage: st.Dir(), BuildDir: t.TempDir()}, id, needed, stray
}

func there(cfg reconciler.Config, o deployment.Object) bool {
	_, err := os.Stat(filepath.Join(cfg.Stage, o.Path()))
	return err == nil
}

// What no deployment names goes, unless somebody only asks.
func TestCollect(t *testing.T) {
	cfg, _, needed, stray := newStage(t)
	for _, dry := range []bool{true, false} {
		c, err := Collect(t.Context(), cfg, false, dry)
		if err != nil || c.Objects != 1 || c.Bytes != stray.Size {
			t.Errorf("dry %v: %+v, %v", dry, c, err)
		}
		if there(cfg, stray) != dry || !there(cfg, needed) {
			t.Errorf("dry %v: what nothing needs is there: %v", dry, there(cfg, stray))
		}
	}
}

// What is damaged goes, if somebody wants that, but for what runs.
func TestVerify(t *testing.T) {
	for name, c := range map[string]struct {
		mend        Mending
		runs, stays bool
	}{
		"look": {stays: true}, "remove": {mend: Remove}, "it runs": {mend: Remove, runs: true, stays: true}, "quarantine": {mend: Quarantine, runs: true, stays: true},
	} {
		cfg, id, needed, _ := newStage(t)
		if c.runs {
			cfg.Booted = id
		}
		if err := os.WriteFile(filepath.Join(cfg.Stage, needed.Path()), bytes.Repeat([]byte("x"), int(needed.Size)), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := Verify(t.Context(), cfg, false, c.mend)
		if err != nil || len(found.Damage) != 1 || (len(found.Mended) == 1) != (c.mend == Remove) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
		if st, err := stage.Open(cfg.Stage); err != nil || st.Damaged(needed) != (c.mend == Quarantine) {
			t.Errorf("%s: it is known to be damaged: %v (%v)", name, c.mend != Quarantine, err)
		}
		if there(cfg, needed) != c.stays {
			t.Errorf("%s: it stays: %v", name, !c.stays)
		}
	}
}

// Who removes is the only writer; who looks waits for nobody.
func TestLocked(t *testing.T) {
	cfg, _, _, _ := newStage(t)
	st, err := stage.Open(cfg.Stage)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := st.Lock(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	_, collectErr := Collect(t.Context(), cfg, false, false)
	_, removeErr := Verify(t.Context(), cfg, false, Remove)
	if !errors.Is(collectErr, stage.ErrLocked) || !errors.Is(removeErr, stage.ErrLocked) {
		t.Errorf("%v; %v", collectErr, removeErr)
	}
	if _, err := Verify(t.Context(), cfg, false, Leave); err != nil {
		t.Error(err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

func TestNoStage(t *testing.T) {
	cfg := reconciler.Config{Stage: filepath.Join(t.TempDir(), "none")}
	if _, err := Collect(t.Context(), cfg, false, true); !errors.Is(err, stage.ErrNone) {
		t.Error(err)
	}
	if _, err := Verify(t.Context(), cfg, false, Leave); !errors.Is(err, stage.ErrNone) {
		t.Error(err)
	}
	staged, err := Staged(cfg.Stage, &image.Image{Layers: []image.Layer{{DiffID: "sha256:1"}}})
	if err != nil || len(staged) != 1 || staged[0] {
		t.Errorf("%v, %v", staged, err)
	}
}

// Of GRUB's custom.cfg only our lines go.
func TestUnlink(t *testing.T) {
	dir := t.TempDir()
	custom := filepath.Join(dir, "custom.cfg")
	if err := os.WriteFile(custom, []byte("set mine=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []reconciler.Config{{Boot: dir}, {Boot: filepath.Join(dir, "none")}} {
		got, err := Unlink(t.Context(), cfg)
		if text, readErr := os.ReadFile(custom); readErr != nil || string(text) != "set mine=1\n" || (err == nil) != (got == custom) {
			t.Errorf("%q, %v: %q, %v", got, err, text, readErr)
		}
	}
}
