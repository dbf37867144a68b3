package assemble

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/disk/lvm"
	"github.com/gitboot/gitboot/internal/dm"
)

// A Volume is a logical volume that is to be.
type Volume struct {
	group, volume string // their UUIDs
	// known is the volume as the newest metadata have it, and wrong why it cannot be
	// made; both are as of seqno.
	known *lvm.Volume
	wrong error
	seqno int64
	// members has the names of devices by the UUIDs of physical volumes.
	members map[string]string
	twice   error
}

// NewVolume takes the UUIDs of a volume group and of a volume in it.
func NewVolume(group, volume string) *Volume {
	return &Volume{group: group, volume: volume, seqno: -1, members: map[string]string{}}
}

// Modules of the kernel's that are needed.
func (v *Volume) Modules() []string { return []string{"dm_mod"} }

// Offer looks at a block device and reports whether all are there.
func (v *Volume) Offer(name string) bool {
	if len(holders(name)) == 0 {
		v.take(name)
	}
	return v.complete()
}

func (v *Volume) take(name string) {
	d, err := open(name)
	if err != nil {
		return
	}
	defer d.Close()
	m, err := lvm.Read(d)
	if err != nil {
		return
	}
	if other := v.members[m.UUID]; other != "" && other != name {
		v.twice = errors.Join(v.twice, fmt.Errorf("%s and %s both are the physical volume %s: one is a copy; take it away", path(other), path(name), m.UUID))
	}
	v.members[m.UUID] = name
	if g := m.Group; g != nil && g.UUID == v.group && g.Seqno > v.seqno {
		v.seqno = g.Seqno
		v.known, v.wrong = g.Volume(v.volume)
	}
}

// complete reports that nothing is to be waited for.
func (v *Volume) complete() bool {
	return v.wrong != nil || v.known != nil && len(v.lacking()) == 0
}

func (v *Volume) lacking() (ids []string) {
	for _, id := range v.known.Members() {
		if v.members[id] == "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// Enough reports whether it can be made without what has not come: never.
func (v *Volume) Enough() bool { return false }

// String says what there is of it.
func (v *Volume) String() string {
	switch {
	case v.wrong != nil:
		return v.wrong.Error()
	case v.known != nil:
		return fmt.Sprintf("the physical volumes %s have not come", strings.Join(v.lacking(), ", "))
	}
	return fmt.Sprintf("none of %d physical volumes that are there knows its group", len(v.members))
}

// Make makes the device, called as LVM itself would call it.
func (v *Volume) Make() (string, error) {
	if err := errors.Join(v.wrong, v.twice); err != nil {
		return "", err
	}
	made := dm.Volume{Name: v.known.Name, UUID: v.known.ID, ReadOnly: v.known.ReadOnly}
	for _, s := range v.known.Segments {
		segment := dm.Segment{Start: s.Start, Length: s.Length, Chunk: s.Chunk}
		for _, stripe := range s.Stripes {
			major, minor, err := number(v.members[stripe.Member])
			if err != nil {
				return "", err
			}
			segment.Stripes = append(segment.Stripes, dm.Stripe{Major: major, Minor: minor, Start: stripe.Start})
		}
		made.Segments = append(made.Segments, segment)
	}
	control, err := dm.Open()
	if err != nil {
		return "", err
	}
	defer control.Close()
	return control.Map(made)
}
