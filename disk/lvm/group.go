package lvm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxSectors is more than any disk has: sums and products of what is below it fit.
const maxSectors = 1 << 52

// A Group is a volume group as one of its physical volumes knows it.
type Group struct {
	Name string
	// UUID is without hyphens.
	UUID string
	// Seqno counts its changes: of two that differ, the higher one is true.
	Seqno int64

	extent  int64 // sectors
	refused error // why none of its volumes can be had
	members map[string]*member
	volumes map[string]*section // by name
}

// A member is a physical volume of a group.
type member struct {
	id             string
	start, extents int64 // the first sector of the first extent, and how many there are
	missing        bool
}

// A Volume is a logical volume: where each part of it lies.
type Volume struct {
	// Name and ID are the device mapper's for it.
	Name, ID string
	ReadOnly bool
	// Segments follow upon each other from sector 0.
	Segments []Segment
}

// A Segment is a part of a volume. With more than one stripe it goes round them, a chunk
// at a time.
type Segment struct {
	// Sectors, of 512 bytes.
	Start, Length, Chunk int64
	Stripes              []Stripe
}

// A Stripe is where it lies: on the physical volume of a UUID, from a sector on.
type Stripe struct {
	Member string
	Start  int64
}

// Members are the UUIDs of the physical volumes that a volume lies on, each once.
func (v *Volume) Members() (ids []string) {
	for _, s := range v.Segments {
		for _, stripe := range s.Stripes {
			ids = append(ids, stripe.Member)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Members are the UUIDs of the physical volumes that the group has, as far as none is
// noted as missing.
func (g *Group) Members() (ids []string) {
	for _, m := range g.members {
		if !m.missing {
			ids = append(ids, m.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// parseGroup reads metadata.
func parseGroup(text []byte) (*Group, error) {
	root, err := parseText(text)
	if err != nil {
		return nil, err
	}
	if len(root.sections) != 1 || root.number("version") != 1 {
		return nil, errors.New("LVM's metadata are not one volume group's, of version 1")
	}
	g := &Group{members: map[string]*member{}, volumes: map[string]*section{}}
	var s *section
	for g.Name, s = range root.sections {
	}
	g.UUID, g.Seqno, g.extent = plainID(s.text("id")), s.number("seqno"), s.number("extent_size")
	if g.UUID == "" || g.Seqno < 0 || g.extent <= 0 || g.extent > maxSectors {
		return nil, fmt.Errorf("LVM's metadata of the volume group %.128q have no id, seqno or extent size", g.Name)
	}
	if lock := s.text("lock_type"); s.has("status", "EXPORTED") {
		g.refused = errors.New("its volume group is exported")
	} else if s.has("status", "CLUSTERED") || lock != "" && lock != "none" {
		g.refused = errors.New("its volume group is shared by several machines")
	}
	if pvs := s.sections["physical_volumes"]; pvs != nil {
		for name, p := range pvs.sections {
			if g.members[name], err = parseMember(p); err != nil {
				return nil, fmt.Errorf("LVM's metadata of the volume group %.128q: physical volume %.128q: %w", g.Name, name, err)
			}
		}
	}
	if lvs := s.sections["logical_volumes"]; lvs != nil {
		g.volumes = lvs.sections
	}
	return g, nil
}

func parseMember(s *section) (*member, error) {
	m := &member{id: plainID(s.text("id")), start: s.number("pe_start"), extents: s.number("pe_count"), missing: s.has("flags", "MISSING")}
	if m.id == "" || m.start < 0 || m.start > maxSectors || m.extents < 0 {
		return nil, errors.New("it has no id, or no place for data")
	}
	return m, nil
}

// plainID is a UUID without hyphens, "" if it is none.
func plainID(s string) string {
	id := strings.ReplaceAll(s, "-", "")
	if len(id) != idLength || strings.ContainsFunc(id, notID) {
		return ""
	}
	return id
}

// Volume returns the logical volume with a UUID, or says why process 1 cannot make a
// device of it.
func (g *Group) Volume(uuid string) (*Volume, error) {
	for name, s := range g.volumes {
		if plainID(s.text("id")) != uuid {
			continue
		}
		v, err := g.volume(name, s)
		if err = cmp.Or(g.refused, err); err != nil {
			return nil, fmt.Errorf("logical volume %.128q of volume group %.128q: %w", name, g.Name, err)
		}
		return v, nil
	}
	return nil, fmt.Errorf("volume group %.128q has no logical volume with UUID %s", g.Name, uuid)
}

func (g *Group) volume(name string, s *section) (*Volume, error) {
	double := func(s string) string { return strings.ReplaceAll(s, "-", "--") }
	v := &Volume{
		Name: double(g.Name) + "-" + double(name), ID: "LVM-" + g.UUID + plainID(s.text("id")),
		ReadOnly: !s.has("status", "WRITE"),
	}
	switch {
	case !s.has("status", "VISIBLE"):
		return nil, errors.New("it is only a part of another")
	case s.has("status", "LOCKED"):
		return nil, errors.New("it is being moved (pvmove); have that end")
	}
	segments := make([]*section, 0, len(s.sections))
	for _, segment := range s.sections {
		segments = append(segments, segment)
	}
	slices.SortFunc(segments, func(a, b *section) int { return cmp.Compare(a.number("start_extent"), b.number("start_extent")) })
	next := int64(0)
	for _, segment := range segments {
		one, err := g.segment(segment)
		switch {
		case err != nil:
			return nil, err
		case one.Start != next:
			return nil, errors.New("its segments do not follow upon each other")
		}
		next += one.Length
		v.Segments = append(v.Segments, one)
	}
	if int64(len(segments)) != s.number("segment_count") || len(segments) == 0 {
		return nil, errors.New("it lacks segments")
	}
	return v, nil
}

func (g *Group) segment(s *section) (seg Segment, err error) {
	if kind := s.text("type"); kind != "striped" {
		return seg, fmt.Errorf("it is of the kind %.40q, and only linear and striped ones can be booted from", kind)
	}
	first, extents, stripes := s.number("start_extent"), s.number("extent_count"), s.number("stripe_count")
	list, _ := s.values["stripes"].([]any)
	if stripes < 1 || stripes != int64(len(list)/2) || len(list)%2 != 0 || extents < 1 || extents%stripes != 0 {
		return seg, errors.New("a segment's stripes are not those that it counts")
	}
	if !g.within(first) || !g.within(extents) {
		return seg, errors.New("a segment is larger than any disk")
	}
	seg.Start, seg.Length = first*g.extent, extents*g.extent
	if stripes > 1 {
		if seg.Chunk = s.number("stripe_size"); seg.Chunk < 1 || seg.Chunk > g.extent || g.extent%seg.Chunk != 0 {
			return seg, errors.New("a segment's stripes have no size")
		}
	}
	for i := 0; i < len(list); i += 2 {
		stripe, err := g.stripe(list[i], list[i+1], extents/stripes)
		if err != nil {
			return seg, err
		}
		seg.Stripes = append(seg.Stripes, stripe)
	}
	return seg, nil
}

// within reports whether a number of extents has a number of sectors.
func (g *Group) within(extents int64) bool { return extents >= 0 && extents <= maxSectors/g.extent }

func (g *Group) stripe(on, from any, extents int64) (s Stripe, err error) {
	name, _ := on.(string)
	first, ok := from.(int64)
	m := g.members[name]
	switch {
	case m == nil || !ok:
		return s, fmt.Errorf("it lies on %.128q, which is no physical volume", name)
	case m.missing:
		return s, fmt.Errorf("it lies on %.128q, which LVM has noted as missing; see vgextend --restoremissing", name)
	case !g.within(first) || first > m.extents-extents:
		return s, fmt.Errorf("it lies beyond the end of %.128q", name)
	}
	return Stripe{Member: m.id, Start: m.start + first*g.extent}, nil
}
