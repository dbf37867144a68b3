package suite

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
)

// A Counting is a boot loader that remembers something.
type Counting interface {
	loader.Loader
	loader.Counting
}

// A Boot is how the machine is booted.
type Boot struct {
	// Chosen is that somebody presses a key, and takes what the menu has marked.
	Chosen bool
	// Lost is a kernel that is not there.
	Lost string
}

// A Boots makes a boot, and returns the entry whose kernel was loaded, "" for one
// that is not ours.
type Boots func(t *testing.T, l Counting, how Boot) string

// A Way is how a boot loader remembers.
type Way struct {
	// InNames is that it counts in the names of entries: whoever has chosen them, and
	// with nothing beside that could say something else. An entry whose kernel is lost
	// is not in its menu, and what it is asked for once is forgotten in any case.
	InNames bool
	// Asked is that it boots what is not usual only if the machine is restarted for it, as
	// it is by itself: nobody can choose, nothing is written by the boot loader, and
	// nothing gives way to what is lost.
	Asked bool
}

// A remembering is a boot loader under test.
type remembering struct {
	*testing.T
	l     Counting
	way   Way
	menu  boot.Menu
	boots Boots
}

// RunMemory tests a boot loader that has published nothing yet.
func RunMemory(t *testing.T, open func(t *testing.T) Counting, way Way, boots Boots) {
	for _, mode := range []string{boot.ModeMenu, boot.ModeManaged} {
		t.Run("once in mode "+mode, func(t *testing.T) {
			r := &remembering{t, open(t), way, menu(), boots}
			r.menu.Mode = mode
			r.once()
		})
	}
	for name, test := range map[string]func(*remembering){
		"counts": (*remembering).counts, "anew": (*remembering).anew, "good": (*remembering).good, "nothing else": (*remembering).uncounted,
		"lost kernels": (*remembering).lost, "an older one": (*remembering).older, "for ever": (*remembering).forEver, "lastly": (*remembering).lastly,
	} {
		t.Run(name, func(t *testing.T) {
			r := &remembering{t, open(t), way, menu(), boots}
			r.menu.Tries, r.menu.Fallback = 3, r.menu.Images[0].Entries[1].ID
			test(r)
		})
	}
}

func (r *remembering) publish() {
	r.Helper()
	if err := r.l.Publish(r.Context(), r.menu); err != nil {
		r.Fatal(err)
	}
	if err := r.l.Link(r.Context(), r.menu.Stage); err != nil {
		r.Fatal(err)
	}
}

func (r *remembering) memory() loader.Memory {
	r.Helper()
	m, err := r.l.Memory(r.Context(), r.menu.Stage)
	if err != nil {
		r.Fatal(err)
	}
	return m
}

func (r *remembering) change(do func(*boot.Memory)) {
	r.Helper()
	if err := r.memory().Change(do); err != nil {
		r.Fatal(err)
	}
}

// try puts the default on trial.
func (r *remembering) try(left int) {
	r.Helper()
	r.change(func(m *boot.Memory) { *m = boot.Memory{Trying: r.menu.Default, Left: left} })
	r.publish()
}

// unwritten is a boot for which there is no memory yet: no boot loader makes one.
const unwritten = "nothing is counted yet"

// step makes a boot, and sees what came of it, and that it is what Next said.
func (r *remembering) step(what string, how Boot, booted string, after boot.Memory) {
	r.Helper()
	if r.way.Asked && how != (Boot{}) {
		return
	}
	known := how == (Boot{}) && what != unwritten
	if is, err := r.memory().Read(); err == nil && known {
		if id, then := r.menu.Next(is); id != booted || r.same(then) != r.same(after) {
			r.Errorf("%s: %q is next, and it will remember %+v; want %q and %+v", what, id, then, booted, after)
		}
	}
	if id := r.boots(r.T, r.l, how); id != booted {
		r.Errorf("%s: %q boots, want %q", what, id, booted)
	}
	if m, err := r.memory().Read(); err != nil || r.same(m) != r.same(after) {
		r.Errorf("%s: it remembers %+v, %v; want %+v", what, m, err, after)
	}
}

// same leaves out what does not count where names do: how many boots are left of what
// is good, and what is asked for that the menu has not.
func (r *remembering) same(m boot.Memory) boot.Memory {
	if r.way.InNames && m.Good != "" && m.Good == m.Trying {
		m.Left = 0
	}
	if r.way.InNames && r.menu.Entry(m.Once) == nil {
		m.Once = ""
	}
	return m
}

// unloaded is how many boots of so many are left after one whose kernel is lost.
func (r *remembering) unloaded(left int) int {
	if r.way.InNames {
		return left
	}
	return left - 1
}

// instead makes a boot in the boot loader's place.
func (r *remembering) instead(what, booted string) {
	r.Helper()
	r.change(func(m *boot.Memory) {
		id, then := r.menu.Next(*m)
		if *m = then; id != booted {
			r.Errorf("%s: %q is next, want %q", what, id, booted)
		}
	})
}

func (r *remembering) once() {
	usual := ""
	if r.menu.Mode == boot.ModeManaged {
		usual = r.menu.Default
	}
	trial := r.menu.Images[1].Entries[0]
	trial.ID, trial.Title, trial.Kernel = boot.TrialID(strings.Repeat("5", 16)), "tried", kernel("5")
	ask := func(what, id, booted, after string) {
		r.Helper()
		r.change(func(m *boot.Memory) { m.Once = id })
		r.publish() // a menu that is published again asks for nothing else
		r.step(what, Boot{}, booted, boot.Memory{Once: after})
	}
	ask("nothing is tried", "", usual, "")
	older, other := r.menu.Images[0].Entries[1].ID, r.menu.Images[1].Entries[0].ID
	ask("an older one is asked for", older, older, "")
	ask("another image is asked for", other, other, "")
	r.menu.Trial = &trial
	ask("a trial is there", "", usual, "")
	ask("it is asked for", trial.ID, trial.ID, "")
	r.step("at the next boot", Boot{}, usual, boot.Memory{})
	ask("it was taken back", "", usual, "")
	ask("another is asked for than the menu has", boot.TrialID(strings.Repeat("6", 16)), usual, boot.TrialID(strings.Repeat("6", 16)))
	r.change(func(m *boot.Memory) { m.Once = trial.ID })
	r.step("its kernel is lost", Boot{Lost: trial.Kernel}, usual, boot.Memory{})
	r.menu.Trial = nil
	ask("nothing is tried any more", trial.ID, usual, trial.ID)
}

// What is on trial boots so many times, then the other, and that stays.
func (r *remembering) counts() {
	d, other := r.menu.Default, r.menu.Fallback
	if r.publish(); r.way.InNames || r.way.Asked {
		r.step("it was never counted", Boot{}, d, boot.Memory{Trying: d, Left: 2})
	} else {
		r.step(unwritten, Boot{}, other, boot.Memory{})
	}
	r.try(3)
	r.step("first", Boot{}, d, boot.Memory{Trying: d, Left: 2})
	r.publish() // a menu that is published again counts on
	r.step("second", Boot{}, d, boot.Memory{Trying: d, Left: 1})
	r.instead("third", d)
	for range 2 {
		r.step("after it", Boot{}, other, boot.Memory{Trying: d})
	}
	for _, left := range []int{1, 2, boot.MaxTries} {
		r.try(left)
		r.step("any number", Boot{}, d, boot.Memory{Trying: d, Left: left - 1})
	}
	r.menu.Fallback = ""
	r.try(0)
	r.step("there is no other", Boot{}, "", boot.Memory{Trying: d})
}

// What is on trial while the block is its successor's already is counted anew, to
// the end; unless it was used up before.
func (r *remembering) anew() {
	if r.way.InNames {
		r.named()
		return
	}
	d, other := r.menu.Default, r.menu.Fallback
	next := boot.Memory{Trying: boot.EntryID("desktop", "9999999999999999"), Left: 1}
	r.publish()
	r.change(func(m *boot.Memory) { *m = next })
	for left := r.menu.Tries - 1; left >= 0; left-- {
		r.step("another is counted", Boot{}, d, boot.Memory{Trying: d, Left: left})
	}
	r.step("after it", Boot{}, other, boot.Memory{Trying: d})
	next.Bad = d
	r.change(func(m *boot.Memory) { m.Try(next.Trying, next.Left) })
	for range 2 {
		r.step("it was used up before", Boot{}, other, next)
	}
	r.change(func(m *boot.Memory) { *m = boot.Memory{Trying: next.Trying, Good: d} })
	r.step("it was good before", Boot{}, d, boot.Memory{Trying: next.Trying, Good: d})
	r.change(func(m *boot.Memory) { *m = boot.Memory{Trying: next.Trying, Left: 1} })
	r.step("a key", Boot{Chosen: true}, d, boot.Memory{Trying: d, Left: r.menu.Tries})
}

// Where names count, what is to be counted next changes nothing of what is counted now,
// until the menu has it.
func (r *remembering) named() {
	d, other := r.menu.Default, r.menu.Fallback
	r.try(2)
	next := r.menu.Images[0].Entries[0]
	next.ID, next.Kernel, next.Initrd = boot.EntryID("desktop", "9999999999999999"), kernel("9"), initrd("9")
	r.change(func(m *boot.Memory) { m.Try(next.ID, 1) })
	r.step(unwritten, Boot{}, d, boot.Memory{Trying: next.ID, Left: 1})
	r.step(unwritten, Boot{}, d, boot.Memory{Trying: next.ID, Left: 1})
	r.step(unwritten, Boot{}, other, boot.Memory{Trying: next.ID, Left: 1})
	r.menu.Images[0].Entries = append([]boot.Entry{next}, r.menu.Images[0].Entries...)
	r.menu.Default = next.ID
	r.publish()
	r.step("it is in the menu", Boot{}, next.ID, boot.Memory{Trying: next.ID})
	r.step("after it", Boot{}, other, boot.Memory{Trying: next.ID})
	r.change(func(m *boot.Memory) { m.Try(next.ID, 2) })
	r.step("once more", Boot{}, next.ID, boot.Memory{Trying: next.ID, Left: 1})
	r.change(func(m *boot.Memory) { *m = boot.Memory{} })
	r.menu.Tries = 0
	r.step("nothing is on trial", Boot{}, next.ID, boot.Memory{})
}

// What was found good boots without being counted.
func (r *remembering) good() {
	d := r.menu.Default
	for _, left := range []int{0, 3} {
		r.try(left)
		r.change(func(m *boot.Memory) { m.Good = d })
		r.step("good", Boot{}, d, boot.Memory{Trying: d, Left: left, Good: d})
	}
	if r.way.InNames {
		r.menu.Tries = 0
		r.publish()
		r.step("nothing is on trial", Boot{}, d, boot.Memory{})
		return
	}
	r.change(func(m *boot.Memory) { m.Good = r.menu.Fallback })
	r.step("the other is", Boot{}, d, boot.Memory{Trying: d, Left: 2, Good: r.menu.Fallback})
	r.menu.Tries = 0
	r.publish()
	r.step("nothing is on trial", Boot{}, d, boot.Memory{Trying: d, Left: 2, Good: r.menu.Fallback})
}

// What somebody chooses is not counted, nor what is asked for once.
func (r *remembering) uncounted() {
	d, other := r.menu.Default, r.menu.Fallback
	if r.try(2); r.way.InNames {
		r.step("a key", Boot{Chosen: true}, d, boot.Memory{Trying: d, Left: 1})
		r.change(func(m *boot.Memory) { m.Once = other })
		r.step("once another", Boot{}, other, boot.Memory{Trying: d, Left: 1})
		return
	}
	r.step("a key", Boot{Chosen: true}, d, boot.Memory{Trying: d, Left: 2})
	r.change(func(m *boot.Memory) { m.Once = d })
	r.step("once", Boot{}, d, boot.Memory{Trying: d, Left: 2})
	r.change(func(m *boot.Memory) { m.Once = other })
	r.step("once another", Boot{}, other, boot.Memory{Trying: d, Left: 2})
	r.try(0)
	r.step("a key when none is left", Boot{Chosen: true}, other, boot.Memory{Trying: d})
}

// What cannot be loaded gives way at once.
func (r *remembering) lost() {
	d, other := r.menu.Images[0].Entries[0], r.menu.Images[0].Entries[1]
	r.try(2)
	r.step("on trial", Boot{Lost: d.Kernel}, other.ID, boot.Memory{Trying: d.ID, Left: r.unloaded(2)})
	if !r.way.InNames { // else the boot loader ends, and the firmware goes on
		r.step("the initramfs", Boot{Lost: d.Initrd}, other.ID, boot.Memory{Trying: d.ID})
	}
	r.try(0)
	r.step("the other", Boot{Lost: other.Kernel}, "", boot.Memory{Trying: d.ID})
	r.menu.Fallback = ""
	r.try(1)
	r.step("there is no other", Boot{Lost: d.Kernel}, "", boot.Memory{Trying: d.ID, Left: r.unloaded(1)})
	r.try(0)
	r.menu.Tries, r.menu.Fallback = 0, other.ID
	r.publish()
	after := boot.Memory{Trying: d.ID}
	if r.way.InNames {
		after = boot.Memory{}
	}
	r.step("not on trial", Boot{Lost: d.Kernel}, other.ID, after)
}

// An older generation, which is in a submenu, is counted like any other.
func (r *remembering) older() {
	d, other := r.menu.Images[0].Entries[1].ID, r.menu.Images[1].Entries[0].ID
	r.menu.Default, r.menu.Fallback = d, other
	r.try(2)
	r.step("first", Boot{}, d, boot.Memory{Trying: d, Left: 1})
	r.step("its kernel is lost", Boot{Lost: r.menu.Images[0].Entries[1].Kernel}, other, boot.Memory{Trying: d, Left: r.unloaded(1)})
	r.try(0)
	r.step("after it", Boot{}, other, boot.Memory{Trying: d})
}

// The recovery entry boots when what is on trial is used up, or lost, and it is all that
// is left.
func (r *remembering) lastly() {
	d := r.menu.Images[0].Entries[0]
	recovery := d
	recovery.ID, recovery.Title, recovery.Kernel = boot.RecoveryID, "Recovery", kernel("6")
	r.menu.Recovery, r.menu.Fallback = &recovery, boot.RecoveryID
	r.try(1)
	r.step("the last try", Boot{}, d.ID, boot.Memory{Trying: d.ID})
	r.step("used up", Boot{}, boot.RecoveryID, boot.Memory{Trying: d.ID})
	r.try(1)
	r.step("lost", Boot{Lost: d.Kernel}, boot.RecoveryID, boot.Memory{Trying: d.ID, Left: r.unloaded(1)})
}

// Where a menu waits for ever, somebody chooses each boot: none could be counted.
func (r *remembering) forEver() {
	forever := -1
	r.menu.Timeout = &forever
	if err := r.l.Publish(r.Context(), r.menu); err == nil {
		r.Error("it is published")
	}
	r.menu.Tries = 0
	r.publish()
	if id, _ := r.menu.Next(boot.Memory{Once: r.menu.Default}); id != "" {
		r.Errorf("%s is next", id)
	}
}
