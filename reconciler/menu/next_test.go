package menu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/state"
)

// What boots next is told, and noted, only where that is certain and nobody else's
// business.
func TestNext(t *testing.T) {
	forever := -1
	for what, c := range map[string]struct {
		doc    func(*shelf)
		after  func(t *testing.T, s *shelf)
		boots  string
		at     int
		counts int
		why    string
	}{
		"what is on trial is counted": {boots: "router", counts: 2},
		"good is not":                 {doc: func(s *shelf) { s.doc.Verdicts = nil }, boots: "router", counts: -1},
		"asked for once": {after: func(t *testing.T, s *shelf) {
			s.remember(t, func(m *boot.Memory) { m.Once = s.id("desktop", 0) })
		}, boots: "desktop", counts: 3},
		"used up": {doc: func(s *shelf) { s.doc.Verdicts[s.doc.Images["router"].Newest().Deployment].Left = 0 }, boots: "desktop", at: 1, counts: 0},
		"the last try": {after: func(t *testing.T, s *shelf) {
			s.remember(t, func(m *boot.Memory) { m.Left = 1 })
		}, why: "it is the last try of what is on trial"},
		"mode menu":         {doc: func(s *shelf) { s.doc.Mode = boot.ModeMenu }, why: "what boots next is decided in the boot loader"},
		"the menu waits":    {doc: func(s *shelf) { s.doc.Timeout = &forever }, why: "what boots next is decided in the boot loader"},
		"a stale menu":      {after: func(_ *testing.T, s *shelf) { s.doc.Tries = 5 }, why: "the boot menu is not as it is to be: entries or settings differ"},
		"a menu not linked": {after: func(t *testing.T, s *shelf) { must(t, os.Remove(filepath.Join(s.Folder, "custom.cfg"))) }, why: "the boot loader does not show it"},
		"a damaged block": {after: func(t *testing.T, s *shelf) {
			must(t, os.WriteFile(filepath.Join(s.Stage.Dir(), "boot/gitboot.env"), []byte("x"), 0o600))
		}, why: "what the boot loader remembers is damaged"},
		"grub-reboot": {after: func(t *testing.T, s *shelf) {
			out, err := exec.Command("grub-editenv", filepath.Join(s.Folder, "grubenv"), "set", "next_entry=theirs").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}, why: `the boot loader was asked for its entry "theirs" (grub-reboot or bootctl)`},
	} {
		t.Run(what, func(t *testing.T) {
			s := newShelf(t)
			for image, state := range map[string]string{"router": boot.Trying, "desktop": boot.Good} {
				s.doc.Judge(s.doc.Images[image].Newest().Deployment, verdictOf(image, state))
			}
			if c.doc != nil {
				c.doc(s)
			}
			must(t, s.Publish(t.Context(), where, s.doc))
			must(t, s.Link(t.Context(), where))
			if c.after != nil {
				c.after(t, s)
			}
			n, err := s.Next(t.Context(), where, s.doc)
			if c.why != "" {
				if err == nil || !strings.Contains(err.Error(), c.why) {
					t.Errorf("%v, want %s", err, c.why)
				}
				return
			}
			must(t, err)
			if want := s.id(c.boots, c.at); n.Entry.ID != want {
				t.Errorf("%s is next, want %s", n.Entry.ID, want)
			}
			before := s.remembered(t)
			must(t, n.Note())
			if after := s.remembered(t); c.counts >= 0 && after.Left != c.counts || after.Once != "" {
				t.Errorf("it remembers %+v", after)
			}
			must(t, n.TakeBack())
			if after := s.remembered(t); after != before {
				t.Errorf("taken back, it remembers %+v, and did %+v", after, before)
			}
			if n.is != n.then {
				s.remember(t, func(m *boot.Memory) { m.Good = "another" })
				if err := n.Note(); err == nil || s.remembered(t).Good != "another" {
					t.Errorf("over another's note: %v", err)
				}
			}
		})
	}
}

func verdictOf(image, known string) state.Verdict {
	v := state.Verdict{Image: image, State: known, Since: noon}
	if known == boot.Trying {
		v.Left = 3
	}
	return v
}

func (s *shelf) remember(t *testing.T, do func(*boot.Memory)) {
	t.Helper()
	m, err := s.Memory(t.Context(), where)
	must(t, err)
	must(t, m.Change(do))
}

func (s *shelf) remembered(t *testing.T) boot.Memory {
	t.Helper()
	m, err := s.Memory(t.Context(), where)
	must(t, err)
	is, err := m.Read()
	must(t, err)
	return is
}
