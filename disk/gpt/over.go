package gpt

// Over is the table of a disk that was written onto one of so many bytes. Grown is its
// last partition, if that is one that grows and is larger now, else nil.
func (t Table) Over(size int64) (over Table, grown *Partition) {
	over = Table{UUID: t.UUID, Partitions: append([]Partition(nil), t.Partitions...)}
	const whole = 1 << 20
	last := -1
	for i, p := range over.Partitions {
		if last < 0 || p.Start > over.Partitions[last].Start {
			last = i
		}
	}
	if last < 0 || !over.Partitions[last].Grow {
		return over, nil
	}
	p := &over.Partitions[last]
	if length := size/whole*whole - whole - p.Start; length > p.Length {
		p.Length = length
		return over, p
	}
	return over, nil
}
