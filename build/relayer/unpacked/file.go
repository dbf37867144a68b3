package unpacked

import (
	"archive/tar"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"
)

const (
	typeDir     = tar.TypeDir
	typeSymlink = tar.TypeSymlink

	paxXattr      = "SCHILY.xattr."
	overlayXattrs = paxXattr + "trusted.overlay."
	opaqueXattr   = overlayXattrs + "opaque"

	// defaultMode is of folders that have no entry.
	defaultMode = 0o755
)

// A File is what names stand for. An image may have hundreds of thousands, so that what
// few have is apart.
type File struct {
	Type     byte // tar's
	Mode     uint16
	UID, GID uint32
	Size     int64
	// Names is how many names it has.
	Names int32
	// Entry is the place of the entry that has its content among all of Layer's.
	Layer, Entry int32
	seconds      int64
	nanoseconds  int32
	rare         *rare
}

type rare struct {
	link         string
	major, minor int64
	records      map[string]string // of PAX: extended attributes and ACLs
	data         []byte            // kept content
}

func newDir(layer int) *File {
	return &File{Type: typeDir, Mode: defaultMode, Names: 1, Layer: int32(layer)}
}

func (f *File) more() rare {
	if f.rare == nil {
		return rare{}
	}
	return *f.rare
}

func (f *File) own() *rare {
	if f.rare == nil {
		f.rare = new(rare)
	}
	return f.rare
}

// Link is the target of a symbolic link.
func (f *File) Link() string { return f.more().link }

// Data is the content that was kept, nil if none was.
func (f *File) Data() []byte { return f.more().data }

// ModTime is when the content changed last.
func (f *File) ModTime() time.Time { return time.Unix(f.seconds, int64(f.nanoseconds)).UTC() }

// Header says all of f but its content, under a name.
func (f *File) Header(name string) *tar.Header {
	more := f.more()
	h := &tar.Header{
		Typeflag: f.Type, Name: name, Linkname: more.link, Mode: int64(f.Mode), Uid: int(f.UID), Gid: int(f.GID),
		ModTime: f.ModTime(), Devmajor: more.major, Devminor: more.minor, PAXRecords: more.records,
	}
	if f.Type == tar.TypeReg {
		h.Size = f.Size
	}
	return h
}

// newFile takes what is to be had of an entry.
func newFile(h *tar.Header) (*File, error) {
	f := &File{Type: h.Typeflag, Mode: uint16(h.Mode & 0o7777), Names: 1, seconds: h.ModTime.Unix(), nanoseconds: int32(h.ModTime.Nanosecond())}
	if h.Uid < 0 || h.Uid > math.MaxUint32 || h.Gid < 0 || h.Gid > math.MaxUint32 {
		return nil, fmt.Errorf("owner %d:%d is not possible", h.Uid, h.Gid)
	}
	f.UID, f.GID = uint32(h.Uid), uint32(h.Gid)
	switch h.Typeflag {
	case tar.TypeReg, '\x00', tar.TypeCont, tar.TypeGNUSparse:
		f.Type, f.Size = tar.TypeReg, h.Size
	case tar.TypeDir, tar.TypeFifo:
	case tar.TypeSymlink:
		if h.Linkname == "" || len(h.Linkname) > maxPath {
			return nil, fmt.Errorf("symbolic link with a target of %d bytes", len(h.Linkname))
		}
		f.own().link, f.Mode = h.Linkname, 0o777
	case tar.TypeChar, tar.TypeBlock:
		f.own().major, f.rare.minor = h.Devmajor, h.Devminor
	default:
		return nil, fmt.Errorf("unknown type %q", h.Typeflag)
	}
	for key, value := range h.PAXRecords {
		kept := strings.HasPrefix(key, paxXattr) || strings.HasPrefix(key, "SCHILY.acl.")
		if !kept || strings.HasPrefix(key, overlayXattrs) {
			continue
		}
		if f.own().records == nil {
			f.rare.records = map[string]string{}
		}
		f.rare.records[key] = value
	}
	return f, nil
}

// cost is about what a file's attributes take in memory.
func (f *File) cost() int {
	n := 100 + len(f.more().link)
	for key, value := range f.more().records {
		n += 100 + len(key) + len(value)
	}
	return n
}

// merge adds the attributes that an earlier entry of a folder has in the same layer, and
// the later one does not mention.
func (f *File) merge(earlier *File) {
	if before := earlier.more().records; before != nil {
		all := maps.Clone(before)
		maps.Copy(all, f.more().records)
		f.own().records = all
	}
}

// clean returns a name without "./", leading, doubled and trailing slashes.
func clean(name string) (string, error) {
	if strings.Contains(name, "\x00") {
		return "", errors.New("the name contains a NUL")
	}
	parts := strings.Split(name, "/")
	kept := parts[:0]
	for _, part := range parts {
		switch {
		case part == "" || part == ".":
		case part == "..":
			return "", errors.New(`the name contains ".."`)
		case len(part) > maxName:
			return "", fmt.Errorf("a part of the name is longer than %d bytes", maxName)
		default:
			kept = append(kept, part)
		}
	}
	out := strings.Join(kept, "/")
	if len(out) > maxPath {
		return "", fmt.Errorf("the name has %d bytes, Linux allows %d", len(out), maxPath)
	}
	return out, nil
}
