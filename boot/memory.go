package boot

// A Memory is what a boot loader keeps from one boot to the next.
type Memory struct {
	// Once is the id of the entry that is asked for at the next boot, and at that
	// alone; "" if none is.
	Once string
	// Trying is the id of the entry whose boots are counted, "" if none are, and
	// Left how many more of them it has.
	Trying string
	Left   int
	// Good is the id of the entry that was found good last, by what it started.
	Good string
	// Bad is the id of the entry that was on trial before, if it had all of its tries:
	// a menu that still has it on trial does not count them anew.
	Bad string
}

// Try has the boots of an entry counted, so many of them.
func (m *Memory) Try(entry string, left int) {
	switch {
	case m.Trying != entry && m.UsedUp(m.Trying):
		m.Bad = m.Trying
	case m.Bad == entry:
		m.Bad = ""
	}
	m.Trying, m.Left, m.Good = entry, left, ""
}

// UsedUp reports whether an entry has had all of its tries.
func (m Memory) UsedUp(entry string) bool {
	return m.Trying == entry && m.Good != entry && m.Left == 0
}
