package menu

import (
	"slices"
	"testing"

	"github.com/gitboot/gitboot/boot"
)

// The entry without graphics drivers boots what is good, is nobody's trial, and changes
// nothing of what boots by itself.
func TestSafeGraphics(t *testing.T) {
	s := newShelf(t)
	s.doc.Order = []string{"desktop", "router"}
	for i, state := range []string{boot.Good, boot.Trying} {
		s.doc.Judge(s.doc.Images["desktop"].Generations[i].Deployment, verdictOf("desktop", state))
	}
	before := s.Menu(where, s.doc, nil)
	if before.Safe != nil {
		t.Error("it is there though nobody wants it")
	}
	s.doc.SafeGraphics = true
	m := s.Menu(where, s.doc, nil)
	good := m.Images[0].Entries[1]
	if m.Safe == nil || m.Safe.ID != boot.SafeGraphicsID || m.Safe.Kernel != good.Kernel || m.Safe.Title != good.Title+", safe graphics" {
		t.Fatalf("it is %+v", m.Safe)
	}
	if want := slices.Insert(slices.Clone(good.Args), slices.Index(good.Args, "quiet"), "nomodeset"); !slices.Equal(m.Safe.Args, want) {
		t.Errorf("it boots with %q, want %q", m.Safe.Args, want)
	}
	if m.Default != before.Default || m.Fallback != before.Fallback {
		t.Errorf("by itself %s boots, or %s", m.Default, m.Fallback)
	}
	if of := SafeGraphics(s.doc); of.Name() != "desktop:1" {
		t.Errorf("it is of %s", of.Name())
	}
	must(t, s.Publish(t.Context(), where, s.doc))
	if shown, err := s.Shown(); err != nil || !shown[boot.SafeGraphicsID] {
		t.Errorf("shown are %v, %v", shown, err)
	}
	s.doc.Verdicts = nil
	if m := s.Menu(where, s.doc, nil); m.Safe.Title != m.Images[0].Entries[0].Title+", safe graphics" {
		t.Errorf("where nothing is known to be good it is %s", m.Safe.Title)
	}
}
