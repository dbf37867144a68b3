package untrusted

import "fmt"

// A DigestError says that content is not what its digest or size promised.
type DigestError struct {
	What      string // "blob sha256:…"
	From      string // where it was read
	Want, Got string // digests, or sizes
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s from %s is not what was promised: want %s, got %s; nothing of it may be used, mend or change the source",
		e.What, e.From, e.Want, e.Got)
}

// An UnsupportedError names something that gitboot does not read.
type UnsupportedError struct {
	What   string
	Reason string
	Remedy string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s: %s; %s", e.What, e.Reason, e.Remedy)
}
