package suite

import (
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
)

// An Asked is a boot loader that can be asked for an entry once.
type Asked interface {
	loader.Loader
	loader.Once
}

// RunOnce tests a boot loader that has published nothing yet. boots makes a boot,
// and returns the entry that boots by itself then, "" for one that is not ours.
func RunOnce(t *testing.T, open func(t *testing.T) Asked, boots func(t *testing.T, l Asked) string) {
	for _, mode := range []string{boot.ModeMenu, boot.ModeManaged} {
		t.Run(mode, func(t *testing.T) { once(t, open(t), mode, boots) })
	}
}

func once(t *testing.T, l Asked, mode string, boots func(*testing.T, Asked) string) {
	m := menu()
	m.Mode = mode
	usual := ""
	if mode == boot.ModeManaged {
		usual = m.Default
	}
	trial := m.Images[1].Entries[0]
	trial.ID, trial.Title = boot.TrialID("5"), "tried"
	publish := func(t *testing.T) {
		t.Helper()
		if err := l.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if err := l.Link(t.Context(), m.Stage); err != nil {
			t.Fatal(err)
		}
	}
	step := func(what, set, asked, booted, after string) {
		t.Helper()
		if set != "-" {
			if err := l.SetOnce(t.Context(), m.Stage, set); err != nil {
				t.Fatal(err)
			}
		}
		if id, err := l.Once(t.Context(), m.Stage); err != nil || id != asked {
			t.Errorf("%s: asked for is %q, %v; want %q", what, id, err, asked)
		}
		if id := boots(t, l); id != booted {
			t.Errorf("%s: %q boots, want %q", what, id, booted)
		}
		if id, err := l.Once(t.Context(), m.Stage); err != nil || id != after {
			t.Errorf("%s: asked for after the boot is %q, %v; want %q", what, id, err, after)
		}
	}
	if err := l.CheckOnce(t.Context(), m.Stage); err != nil {
		t.Fatal(err)
	}
	publish(t)
	step("nothing is tried", "-", "", usual, "")
	m.Trial = &trial
	publish(t)
	step("a trial is there", "-", "", usual, "")
	step("it is asked for", trial.ID, trial.ID, trial.ID, "")
	step("at the next boot", "-", "", usual, "")
	step("it is asked for again", trial.ID, trial.ID, trial.ID, "")
	step("it was taken back", "", "", usual, "")
	if err := l.SetOnce(t.Context(), m.Stage, trial.ID); err != nil {
		t.Fatal(err)
	}
	publish(t) // a menu that is published again asks for nothing else
	step("after it is published again", "-", trial.ID, trial.ID, "")
	step("another is asked for than the menu has", boot.TrialID("6"), boot.TrialID("6"), usual, boot.TrialID("6"))
	m.Trial = nil
	publish(t)
	step("nothing is tried any more", trial.ID, trial.ID, usual, trial.ID)
}
