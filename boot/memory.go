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
}

// UsedUp reports whether an entry has had all of its tries.
func (m Memory) UsedUp(entry string) bool {
	return m.Trying == entry && m.Good != entry && m.Left == 0
}
