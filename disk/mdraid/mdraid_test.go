package mdraid

import (
	"bytes"
	"errors"
	"testing"
)

const arrayUUID = "0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d"

// superOne is a superblock of metadata 1.x for the second of two disks, at a sector.
func superOne(at int64, change func(b []byte)) []byte {
	b := make([]byte, superBytes)
	le.PutUint32(b, magic)
	le.PutUint32(b[4:], 1)
	copy(b[16:], "\x0b\x8e\x2f\xf4\x8d\xcf\x4a\x9b\xa0\xb5\x6b\x2f\x4f\x1a\x2c\x3d")
	copy(b[32:], "host:3")
	le.PutUint32(b[72:], 1)
	le.PutUint32(b[92:], 2)
	le.PutUint64(b[144:], uint64(at))
	le.PutUint32(b[160:], 1)
	le.PutUint64(b[200:], 17)
	le.PutUint32(b[220:], 3)
	for i, role := range []uint16{0, 1, 0xffff} {
		le.PutUint16(b[256+2*i:], role)
	}
	change(b)
	le.PutUint32(b[216:], 0)
	le.PutUint32(b[216:], folded(b[:256+2*min(le.Uint32(b[220:]), 1920)]))
	return b
}

// superOld is one of metadata 0.90.
func superOld(change func(b []byte)) []byte {
	b := make([]byte, superBytes)
	for at, v := range map[int]uint32{0: magic, 8: 90, 20: 0x0b8e2ff4, 28: 1, 40: 2, 44: 5, 52: 0x8dcf4a9b, 56: 0xa0b56b2f, 60: 0x4f1a2c3d, 136: 2, 156: 9, 160: 1, 3968 + 12: 1, 3968 + 16: 6} {
		le.PutUint32(b[at:], v)
	}
	change(b)
	le.PutUint32(b[152:], 0)
	le.PutUint32(b[152:], folded(b))
	return b
}

const diskSize = 1<<20 + 5<<10

func disk(at int64, super []byte) *bytes.Reader {
	b := make([]byte, diskSize)
	copy(b[at*sector:], super)
	return bytes.NewReader(b)
}

func same([]byte) {}

func TestRead(t *testing.T) {
	one := Member{UUID: arrayUUID, Major: 1, Level: 1, Disks: 2, Active: 2, Role: 1, Events: 17, Number: 3}
	end := int64(diskSize/sector-16) &^ 7
	for minor, at := range []int64{end, 0, 8} {
		want := one
		want.Minor = minor
		if m, err := Read(disk(at, superOne(at, same)), diskSize); err != nil || *m != want || m.Check() != nil {
			t.Errorf("1.%d: %+v, %v", minor, m, err)
		}
	}
	old := Member{UUID: arrayUUID, Minor: 90, Level: 1, Disks: 2, Active: 2, Role: 1, Events: 1<<32 | 9, Number: 5}
	if m, err := Read(disk(int64(diskSize/sector)&^127-128, superOld(same)), diskSize); err != nil || *m != old {
		t.Errorf("0.90: %+v, %v", m, err)
	}
	if _, err := Read(disk(0, nil), diskSize); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if _, err := Read(bytes.NewReader(nil), 0); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	elsewhere := superOne(0, same) // half of a disk that began earlier
	if _, err := Read(disk(8, elsewhere), diskSize); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

func TestReadRefuses(t *testing.T) {
	for what, change := range map[string]func(b []byte){
		"roles": func(b []byte) { le.PutUint32(b[220:], 5000) }, "disks": func(b []byte) { le.PutUint32(b[92:], 1<<31) }, "no disk": func(b []byte) { le.PutUint32(b[92:], 0) },
	} {
		if m, err := Read(disk(8, superOne(8, change)), diskSize); err == nil || errors.Is(err, ErrNone) {
			t.Errorf("%s: %+v, %v", what, m, err)
		}
	}
	torn := superOne(8, same)
	torn[100]++
	if m, err := Read(disk(8, torn), diskSize); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("%+v, %v", m, err)
	}
	five, err := Read(disk(8, superOne(8, func(b []byte) { le.PutUint32(b[72:], 5) })), diskSize)
	if err != nil || five.Check() == nil {
		t.Errorf("%+v, %v", five, err)
	}
	spare, err := Read(disk(8, superOne(8, func(b []byte) { le.PutUint32(b[160:], 2) })), diskSize)
	if err != nil || spare.Role != -1 || spare.Active != 2 {
		t.Errorf("%+v, %v", spare, err)
	}
	for name, want := range map[string]int{"0": 0, "127": 127, "512": -1, "-1": -1, "01": -1, "root": -1, "": -1} {
		if got := number(name); got != want {
			t.Errorf("%q is %d", name, got)
		}
	}
}

// FuzzRead holds that a superblock whose checksum fits does no harm.
func FuzzRead(f *testing.F) {
	f.Add(uint16(92), uint32(3), uint16(220), uint32(1))
	f.Add(uint16(220), uint32(1920), uint16(160), uint32(1919))
	f.Fuzz(func(t *testing.T, at uint16, v uint32, at2 uint16, v2 uint32) {
		change := func(b []byte) {
			le.PutUint32(b[at%(superBytes-4):], v)
			le.PutUint32(b[at2%(superBytes-4):], v2)
		}
		for start, super := range map[int64][]byte{8: superOne(8, change), int64(diskSize/sector)&^127 - 128: superOld(change)} {
			m, err := Read(disk(start, super), diskSize)
			if err == nil && (m.Disks < 1 || m.Role < -1 || m.Active < 0 || len(m.UUID) != 36) {
				t.Fatalf("%+v", m)
			}
		}
	})
}
