package boot

// Next says which entry a boot loader boots of a menu if nobody chooses, and what it
// remembers then, by what it remembers now: for who starts a kernel in its place. It
// is "" if that is not ours to say: somebody chooses, or the distribution's menu does.
// What is counted, is in a memory that was written before.
func (m *Menu) Next(is Memory) (entry string, then Memory) {
	if m.Timeout != nil && *m.Timeout < 0 {
		return "", is
	}
	entry, then = m.byItself(is)
	if m.Entry(is.Once) != nil {
		entry, then.Once = is.Once, ""
		return entry, then
	}
	if m.counts(entry, is) {
		then.Left--
	}
	return entry, then
}

// byItself is the default, or what boots in its place when its tries are used up. A
// memory that counts another's boots counts this one's anew, unless these were used up
// before.
func (m *Menu) byItself(is Memory) (entry string, then Memory) {
	switch {
	case m.Mode != ModeManaged:
		return "", is
	case m.Tries == 0 || is.Good == m.Default:
		return m.Default, is
	case is.Bad == m.Default:
		return m.Fallback, is
	case is.Trying != m.Default:
		is.Trying, is.Left = m.Default, m.Tries
	}
	if is.Left == 0 {
		return m.Fallback, is
	}
	return m.Default, is
}

// counts reports whether a boot of an entry takes one of its tries.
func (m *Menu) counts(entry string, is Memory) bool {
	return m.Tries > 0 && entry != "" && entry == m.Default && is.Good != entry
}
