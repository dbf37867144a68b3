package lvm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// made is a volume group of lvm2's on two files.
func made(t *testing.T) (g *lab.VolumeGroup, files []string) {
	t.Helper()
	need.Root(t)
	need.Programs(t, "lvm", "losetup")
	dir := t.TempDir()
	var places []lab.Place
	for _, name := range []string{"a", "b"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 32<<20)); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		places = append(places, lab.Place{Path: file})
	}
	// little room for metadata, so that they soon go round
	g, err := lab.NewVolumeGroup(t.Context(), "test-vg", []string{"-s", "1M", "--metadatasize", "32k", "--dataalignment", "4k"}, places...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g, files
}

// What lvm2 has made is read as it reports it: linear and striped volumes, such as were
// extended, and one that can only be read, changed so often that the ring of metadata went
// round.
func TestRead(t *testing.T) {
	g, files := made(t)
	do := func(command string, args ...string) {
		t.Helper()
		if _, err := g.LVM(t.Context(), command, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		args []string
	}{{"root", []string{"-L", "5M"}}, {"in-two", []string{"-L", "6M", "-i", "2", "-I", "64k"}}, {"next", []string{"-L", "2M"}}, {"fixed", []string{"-L", "1M", "-pr"}}} {
		if err := g.Create(t.Context(), c.name, c.args...); err != nil {
			t.Fatal(err)
		}
	}
	do("lvextend", "-L", "+4M", "test-vg/root")
	do("lvextend", "-i", "1", "-L", "+2M", "test-vg/in-two")
	for n := read(t, files[0]).Group.Seqno; n < 30; n++ {
		do("vgchange", "--addtag", fmt.Sprintf("tag%d", n), "test-vg")
		if got := read(t, files[1]).Group.Seqno; got != n+1 {
			t.Fatalf("the metadata are of seqno %d, want %d", got, n+1)
		}
	}
	for _, name := range []string{"root", "in-two", "fixed"} {
		want, err := g.Pieces(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		group, id, err := g.UUIDs(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		v, devices := volume(t, files, group, id)
		if got := walk(v, devices); !equal(got, want, g, files) {
			t.Errorf("%s lies at\n%v\nand lvm2 has it at\n%v", name, got, want)
		}
		if dm := "test--vg-" + strings.ReplaceAll(name, "-", "--"); v.Name != dm || v.ID != "LVM-"+group+id || v.ReadOnly != (name == "fixed") {
			t.Errorf("%s is %+v", name, v)
		}
	}
}

// volume reads one as it is on files, and which file each physical volume is.
func volume(t *testing.T, files []string, group, id string) (v *Volume, devices map[string]string) {
	t.Helper()
	devices = map[string]string{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m, err := Read(f)
		if err != nil || m.Group == nil || m.Group.UUID != group {
			t.Fatalf("%s: %+v, %v", file, m, err)
		}
		devices[m.UUID] = file
		if v, err = m.Group.Volume(id); err != nil {
			t.Fatal(err)
		}
	}
	return v, devices
}

// walk goes through a volume as the kernel does.
func walk(v *Volume, devices map[string]string) (pieces []lab.Piece) {
	for _, s := range v.Segments {
		if len(s.Stripes) == 1 {
			pieces = append(pieces, lab.Piece{Device: devices[s.Stripes[0].Member], Start: s.Stripes[0].Start, Length: s.Length})
			continue
		}
		for at := int64(0); at < s.Length/int64(len(s.Stripes)); at += s.Chunk {
			for _, stripe := range s.Stripes {
				pieces = append(pieces, lab.Piece{Device: devices[stripe.Member], Start: stripe.Start + at, Length: s.Chunk})
			}
		}
	}
	return pieces
}

// equal compares places in files with such on loop devices.
func equal(got, want []lab.Piece, g *lab.VolumeGroup, files []string) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		for n, file := range files {
			if got[i].Device == file {
				got[i].Device = g.Device(n)
			}
		}
		if got[i] != want[i] {
			return false
		}
	}
	return true
}

// What LVM itself would not activate is refused.
func TestVolumeRefuses(t *testing.T) {
	g, files := made(t)
	if err := g.Create(t.Context(), "plain", "-L", "1M"); err != nil {
		t.Fatal(err)
	}
	_, id, err := g.UUIDs(t.Context(), "plain")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, files[0]).Group.Volume(strings.Repeat("0", 32)); err == nil {
		t.Error("a volume that is not there is found")
	}
	if _, err := g.LVM(t.Context(), "vgexport", "test-vg"); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t, files[0]).Group.Volume(id); err == nil || !strings.Contains(err.Error(), "exported") {
		t.Error(err)
	}
}

func read(t *testing.T, file string) *Member {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := Read(f)
	if err != nil || m.Group == nil {
		t.Fatalf("%+v, %v", m, err)
	}
	return m
}

// A changed byte of the label, of the header of metadata or of these is noticed.
func TestReadDamaged(t *testing.T) {
	_, files := made(t)
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	text := bytes.Index(whole, []byte("creation_host"))
	for what, at := range map[string]int{"label": 512 + 40, "header": 4096 + 30, "metadata": text} {
		data := bytes.Clone(whole[:1<<20])
		data[at] ^= 1
		if m, err := Read(bytes.NewReader(data)); err == nil || errors.Is(err, ErrNone) {
			t.Errorf("with a damaged %s it is %+v, %v", what, m, err)
		}
	}
	if _, err := Read(bytes.NewReader(make([]byte, 1<<20))); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

const text = `contents = "Text Format Volume Group"
version = 1
vg {
	id = "mH9miw-82EJ-THoL-J4zV-FW4d-eFQ5-unbPkk"
	seqno = 3
	extent_size = 8 # 4 Kilobytes
	status = ["RESIZEABLE", "READ", "WRITE"]
	physical_volumes {
		pv0 {
			id = "rvOgFL-e8dC-574H-vahk-Tbg9-1JGW-BN2wP7"
			pe_start = 2048
			pe_count = 10
		}
	}
	logical_volumes {
		lv {
			id = "CcTZN7-e61v-YXXc-Uvj3-DCnc-UfC7-NWVZBo"
			status = ["READ", "WRITE", "VISIBLE"]
			segment_count = 1
			segment1 {
				start_extent = 0
				extent_count = 2
				type = "striped"
				stripe_count = 1
				stripes = ["pv0", 3]
			}
		}
	}
}
`

const textVolume = "CcTZN7e61vYXXcUvj3DCncUfC7NWVZBo"

// What does not fit together is refused, however large the numbers are.
func TestVolumeChecks(t *testing.T) {
	group := func(pairs ...string) (*Volume, error) {
		g, err := parseGroup([]byte(strings.NewReplacer(pairs...).Replace(text)))
		if err != nil {
			return nil, err
		}
		return g.Volume(textVolume)
	}
	v, err := group()
	if err != nil || len(v.Segments) != 1 || v.Segments[0].Length != 16 || v.Segments[0].Stripes[0].Start != 2048+24 {
		t.Fatalf("%+v, %v", v, err)
	}
	const huge = "9223372036854775807"
	for _, pairs := range [][]string{
		{"\"pv0\", 3", "\"pv0\", 9"}, {"\"pv0\", 3", "\"pv0\", " + huge}, {"\"pv0\", 3", "\"pv1\", 3"}, {"\"pv0\", 3", "3, \"pv0\""}, {"\"pv0\", 3", "\"pv0\""},
		{"extent_count = 2", "extent_count = " + huge}, {"extent_count = 2", "extent_count = 0"}, {"extent_count = 2", "extent_count = -2"},
		{"start_extent = 0", "start_extent = 1"}, {"start_extent = 0", "start_extent = " + huge}, {"segment_count = 1", "segment_count = 2"},
		{"stripe_count = 1", "stripe_count = 2"}, {"stripe_count = 1", "stripe_count = 0"}, {"\"striped\"", "\"thin\""}, {"\"striped\"", "\"striped+NEW\""},
		{"stripe_count = 1", "stripe_count = 2 stripe_size = 3", "\"pv0\", 3", "\"pv0\", 3, \"pv0\", 5"},
		{"pe_count = 10", "pe_count = 10 flags = [\"MISSING\"]"}, {"extent_size = 8", "extent_size = " + huge}, {"extent_size = 8", "extent_size = 0"},
		{"pe_start = 2048", "pe_start = " + huge}, {"\"VISIBLE\"", "\"LOCKED\", \"VISIBLE\""}, {", \"VISIBLE\"", ""}, {"seqno = 3", "seqno = 3 lock_type = \"sanlock\""}, {"version = 1", "version = 2"},
	} {
		if v, err := group(pairs...); err == nil {
			t.Errorf("with %q it is %+v", pairs, v)
		}
	}
}

// FuzzGroup holds that whatever metadata say is refused, or lies within the disks that
// they say they have.
func FuzzGroup(f *testing.F) {
	f.Add([]byte(text))
	f.Add([]byte(`a{b{c{d{e{f{g{h{i{`))
	f.Add([]byte("v=[\"a\\\"b\",1,]#"))
	f.Fuzz(func(t *testing.T, text []byte) {
		g, err := parseGroup(text)
		if err != nil {
			return
		}
		for _, s := range g.volumes {
			v, err := g.Volume(plainID(s.text("id")))
			if err != nil {
				continue
			}
			next := int64(0)
			for _, s := range v.Segments {
				if s.Start != next || s.Length <= 0 || s.Chunk < 0 || len(s.Stripes) == 0 {
					t.Fatalf("%+v", v)
				}
				next += s.Length
				for _, stripe := range s.Stripes {
					if stripe.Start < 0 || stripe.Start > 1<<60 {
						t.Fatalf("%+v", v)
					}
				}
			}
		}
	})
}

// FuzzRead changes bytes of a physical volume, with checksums that fit.
func FuzzRead(f *testing.F) {
	f.Add([]byte(text), uint16(512+20), uint64(0))
	f.Add([]byte(text), uint16(4096+40), uint64(1<<63))
	f.Fuzz(func(_ *testing.T, text []byte, at uint16, number uint64) {
		disk := physical(text)
		if int(at)+8 < len(disk) {
			binary.LittleEndian.PutUint64(disk[at:], number)
		}
		seal(disk)
		_, _ = Read(bytes.NewReader(disk))
	})
}

// physical is a physical volume with metadata.
func physical(text []byte) []byte {
	const area, ring = 4096, 512
	disk := make([]byte, area+ring+len(text)+512)
	le := binary.LittleEndian
	label := disk[512:]
	copy(label, "LABELONE")
	le.PutUint64(label[8:], 1)
	le.PutUint32(label[20:], 32)
	copy(label[24:], "LVM2 001rvOgFLe8dC574HvahkTbg91JGWBN2wP7")
	le.PutUint64(label[32+40+16:], area)
	le.PutUint64(label[32+40+24:], uint64(ring+len(text)+512))
	head := disk[area:]
	copy(head[4:], " LVM2 x[5A%r0N*>\x01")
	le.PutUint64(head[24:], area)
	le.PutUint64(head[40:], ring)
	le.PutUint64(head[48:], uint64(len(text)))
	le.PutUint32(head[56:], checksum(text))
	copy(disk[area+ring:], text)
	return disk
}

// seal computes the checksums of label and header.
func seal(disk []byte) {
	binary.LittleEndian.PutUint32(disk[512+16:], checksum(disk[512+20:1024]))
	binary.LittleEndian.PutUint32(disk[4096:], checksum(disk[4096+4:4096+512]))
}

func TestPhysical(t *testing.T) {
	disk := physical([]byte(text))
	seal(disk)
	if m, err := Read(bytes.NewReader(disk)); err != nil || m.Group == nil || m.Group.Name != "vg" {
		t.Errorf("%+v, %v", m, err)
	}
}
