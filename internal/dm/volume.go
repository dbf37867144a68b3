package dm

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// A Volume is a device that is put together from parts of others.
type Volume struct {
	Name, UUID string
	ReadOnly   bool
	// Segments follow upon each other.
	Segments []Segment
}

// A Segment is a part of a volume. With more than one stripe it goes round them, a chunk
// at a time. All is counted in sectors of 512 bytes.
type Segment struct {
	Start, Length, Chunk int64
	Stripes              []Stripe
}

// A Stripe is where a segment lies: on a device, from a sector on.
type Stripe struct {
	Major, Minor uint32
	Start        int64
}

// target is what the kernel's targets read, see linear.rst and striped.rst.
func (s Segment) target() target {
	words := make([]string, len(s.Stripes))
	for i, on := range s.Stripes {
		words[i] = fmt.Sprintf("%d:%d %d", on.Major, on.Minor, on.Start)
	}
	t := target{start: s.Start, length: s.Length, kind: "linear", params: strings.Join(words, " ")}
	if len(words) > 1 {
		t.kind, t.params = "striped", fmt.Sprintf("%d %d %s", len(words), s.Chunk, t.params)
	}
	return t
}

// Map makes a device and returns its path.
func (c *Control) Map(v Volume) (path string, err error) {
	table := make([]target, len(v.Segments))
	for i, s := range v.Segments {
		table[i] = s.target()
	}
	flags := uint32(0)
	if v.ReadOnly {
		flags = unix.DM_READONLY_FLAG
	}
	if path, err = c.make(v.Name, v.UUID, flags, table...); err != nil {
		return "", fmt.Errorf("making the volume %s: %w", v.Name, err)
	}
	return path, nil
}
