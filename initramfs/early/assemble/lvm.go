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
	// newest is the group as the newest metadata have it that have come, known the volume
	// in it, and wrong why that cannot be made.
	newest *lvm.Group
	known  *lvm.Volume
	wrong  error
	// members has the names of devices by the UUIDs of physical volumes.
	members map[string]string
	twice   error
}

// NewVolume takes the UUIDs of a volume group and of a volume in it.
func NewVolume(group, volume string) *Volume {
	return &Volume{group: group, volume: volume, members: map[string]string{}}
}

// Modules of the kernel's that are needed.
func (v *Volume) Modules() []string { return []string{"dm_mod"} }

// Offer looks at a block device and reports whether all are there.
func (v *Volume) Offer(name string) bool {
	v.take(name)
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
	if g := m.Group; g != nil && g.UUID == v.group && (v.newest == nil || g.Seqno > v.newest.Seqno) {
		v.newest = g
		v.known, v.wrong = g.Volume(v.volume)
	}
}

// complete reports that nothing is to be waited for: all of the group has come, so that
// nobody can know better where the volume lies.
func (v *Volume) complete() bool {
	return v.newest != nil && len(v.lacking(v.newest.Members())) == 0
}

// lacking are those that have not come, of physical volumes' UUIDs.
func (v *Volume) lacking(members []string) (ids []string) {
	for _, id := range members {
		if v.members[id] == "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// Enough reports whether it can be made without what has not come: without disks of the
// group that it does not lie on.
func (v *Volume) Enough() bool {
	return v.wrong != nil || v.known != nil && len(v.lacking(v.known.Members())) == 0
}

// String says what there is of it.
func (v *Volume) String() string {
	if v.newest == nil {
		return fmt.Sprintf("none of %d physical volumes that are there knows its group", len(v.members))
	}
	lacking := v.newest.Members()
	if !v.Enough() {
		lacking = v.known.Members()
	}
	text := fmt.Sprintf("the physical volumes %s of %s have not come", strings.Join(v.lacking(lacking), ", "), v.newest.Name)
	if v.wrong != nil {
		text = v.wrong.Error() + "; " + text
	}
	return text
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
