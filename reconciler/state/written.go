package state

// Written is what was written last of the boot loader's files, by their names:
// checksums.
type Written struct {
	Sums map[string]string `json:"sums"`
	// Before is what was there, "" for nothing: a run that was cut between the state
	// and the files leaves that.
	Before map[string]string `json:"before,omitempty"`
}

// Foreign reports whether a file holds what was never written there: sum is that of
// what it holds, "" if it is not there.
func (w *Written) Foreign(name, sum string) bool {
	if w == nil {
		return false
	}
	last, known := w.Sums[name]
	before, cut := w.Before[name]
	return known && sum != last && !(cut && sum == before)
}

// Settled is what is known when the files are written.
func (w *Written) Settled() *Written {
	if w == nil || w.Before == nil {
		return w
	}
	return &Written{Sums: w.Sums}
}
