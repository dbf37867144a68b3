package boot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Modes of a menu.
const (
	// ModeMenu adds entries and leaves default and timeout alone.
	ModeMenu = "menu"
	// ModeManaged also chooses the default.
	ModeManaged = "managed"
)

// OnBadRevert is what is done about what is bad where commits are to be taken back.
const OnBadRevert = "revert"

// MaxTries is how many boots a boot loader can count: it has one digit.
const MaxTries = 9

// A Menu is everything that a boot loader is told.
type Menu struct {
	Stage Filesystem
	// Mode is ModeMenu or ModeManaged.
	Mode string
	// Default is the id of the entry that boots by itself, "" for the
	// distribution's own. It is for mode managed only.
	Default string
	// Tries is how often Default may boot by itself, in mode managed, until it is
	// known to be good; 0 if that is not counted.
	Tries int
	// Fallback is the id of the entry that boots by itself when these are used
	// up, when the boot loader cannot count, or when Default cannot be loaded; ""
	// is the distribution's own.
	Fallback string
	// Timeout is in seconds, for mode managed only. nil leaves the
	// distribution's.
	Timeout *int
	Images  []MenuImage
	// Trial is an entry that boots when it is chosen, by hand or for one boot, and
	// never by itself; nil without one. Its id is TrialID's.
	Trial *Entry
	// Safe is an entry of what another boots, without graphics drivers, for whoever chooses
	// it; nil without one. Its id is SafeGraphicsID.
	Safe *Entry
	// Recovery is an entry that needs nothing of the stage but its kernel and
	// initramfs, nil without one. Its id is RecoveryID.
	Recovery *Entry
}

// All returns all entries, in the menu's order.
func (m *Menu) All() (all []Entry) {
	for _, image := range m.Images {
		all = append(all, image.Entries...)
	}
	for _, e := range m.Apart() {
		all = append(all, *e)
	}
	return all
}

// Apart returns those entries that are no image's generations, in the menu's order.
func (m *Menu) Apart() (apart []*Entry) {
	for _, e := range []*Entry{m.Safe, m.Trial, m.Recovery} {
		if e != nil {
			apart = append(apart, e)
		}
	}
	return apart
}

// A MenuImage is one image's entries, of which there is at least one, newest
// first.
type MenuImage struct {
	Name    string
	Entries []Entry
}

// Check reports why the menu cannot be shown, whichever boot loader does it.
func (m *Menu) Check() error {
	if m.Mode != ModeMenu && m.Mode != ModeManaged {
		return fmt.Errorf("mode %q is neither %s nor %s", m.Mode, ModeMenu, ModeManaged)
	}
	if m.Timeout != nil && *m.Timeout < -1 {
		return fmt.Errorf("timeout is %d; want seconds, or -1 to wait for ever", *m.Timeout)
	}
	if err := m.Stage.Check(); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, image := range m.Images {
		if err := checkText("image name", image.Name); err != nil {
			return err
		}
		for _, id := range image.ids() {
			if seen[id] {
				return fmt.Errorf("image %q: menu id %q is there twice", image.Name, id)
			}
			seen[id] = true
		}
	}
	if m.Trial != nil && !strings.HasPrefix(m.Trial.ID, TrialID("")) {
		return fmt.Errorf("menu id %q is none of TrialID's", m.Trial.ID)
	}
	if m.Safe != nil && m.Safe.ID != SafeGraphicsID {
		return fmt.Errorf("menu id %q is not that of safe graphics", m.Safe.ID)
	}
	if m.Recovery != nil && m.Recovery.ID != RecoveryID {
		return fmt.Errorf("menu id %q is not the recovery entry's", m.Recovery.ID)
	}
	if m.Mode == ModeManaged && m.Default != "" && !slices.Contains(m.entryIDs(), m.Default) {
		return fmt.Errorf("default %q is not an entry of the menu", m.Default)
	}
	return m.checkTries()
}

// checkTries reports why boots of the default could not be counted.
func (m *Menu) checkTries() error {
	switch {
	case m.Fallback != "" && (m.Fallback == m.Default || !slices.Contains(m.entryIDs(), m.Fallback)):
		return fmt.Errorf("fallback %q is not another entry of the menu", m.Fallback)
	case m.Tries < 0 || m.Tries > MaxTries:
		return fmt.Errorf("tries are %d; want up to %d", m.Tries, MaxTries)
	case m.Tries > 0 && (m.Mode != ModeManaged || m.Default == ""):
		return fmt.Errorf("boots are counted of a default in mode %s only", ModeManaged)
	case m.Tries > 0 && m.Timeout != nil && *m.Timeout < 0:
		return errors.New("no boots are counted where the menu waits for ever: somebody chooses each")
	}
	return nil
}

func (image *MenuImage) ids() []string {
	var ids []string
	for _, e := range image.Entries {
		ids = append(ids, e.ID)
	}
	if len(ids) > 1 {
		ids = append(ids, OlderID(image.Name))
	}
	return ids
}

// entryIDs returns the ids of the entries that can boot by themselves, in the menu's
// order.
func (m *Menu) entryIDs() (ids []string) {
	for _, image := range m.Images {
		for _, e := range image.Entries {
			ids = append(ids, e.ID)
		}
	}
	if m.Recovery != nil {
		ids = append(ids, m.Recovery.ID)
	}
	return ids
}

// Entry returns an entry by its id, nil if the menu has none.
func (m *Menu) Entry(id string) *Entry {
	for _, e := range m.All() {
		if e.ID == id {
			return &e
		}
	}
	return nil
}

// Choose has the first of these boot by itself that the menu has, else its first
// entry. What cannot be then is taken back: what is counted, and the fallback.
func (m *Menu) Choose(ids ...string) {
	entries := m.entryIDs()
	was := m.Default
	m.Default = ""
	for _, id := range append(ids, entries...) {
		if slices.Contains(entries, id) {
			m.Default = id
			break
		}
	}
	if m.Default != was {
		m.Tries = 0
	}
	if m.Fallback == m.Default || !slices.Contains(entries, m.Fallback) {
		m.Fallback = ""
	}
}
