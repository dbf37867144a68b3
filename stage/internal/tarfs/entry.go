package tarfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// Limits of Linux and squashfs. An entry beyond them is refused.
const (
	maxName  = 255        // NAME_MAX
	maxPath  = 4095       // PATH_MAX without its NUL
	maxMajor = 1<<12 - 1  // squashfs encodes a device in 32 bits
	maxMinor = 1<<20 - 1  //
	maxXattr = 64<<10 - 1 // XATTR_SIZE_MAX
	// maxExtended is the sum of what an entry needs beyond a plain header;
	// tar2sqfs reads extended headers of at most 64 KiB.
	maxExtended = 60 << 10
)

// An entryKind says what an entry does to the tree.
type entryKind uint8

const (
	kindFile     entryKind = iota
	kindDir                // a directory
	kindOther              // a symbolic link, device or fifo
	kindLink               // a hard link to target
	kindWhiteout           // hides name in lower layers
	kindOpaque             // hides what lower layers have below the directory name
)

// An entry is one checked entry of a layer.
type entry struct {
	kind entryKind
	// name is clean and relative, "" for the root. For markers it is what
	// they are about.
	name string
	// target is a hard link's target, clean and relative.
	target string
	meta   *meta
	opaque bool // a directory that brings overlayfs's own mark
	device bool // a whiteout in overlayfs's own form
}

// meta is what an inode carries besides its content. A layer may have hundreds of
// thousands, so that what few have is apart.
type meta struct {
	rare     *rare // nil: nothing of it
	size     int64
	uid, gid uint32
	mtime    uint32
	mode     uint16
	typeflag byte // 0: nothing is known of it
}

// rare is what few inodes carry.
type rare struct {
	major, minor uint32
	linkname     string
	xattrs       map[string]string
	// children of a directory; nil for all else.
	children *folder
	link     *link
	// open gives the content of a file that a lower layer lent.
	open func() (io.Reader, error)
}

func (m *meta) known() bool { return m.typeflag != 0 }

// more is what a meta has of what few have, own that to be written to.
func (m *meta) more() rare {
	if m.rare == nil {
		return rare{}
	}
	return *m.rare
}

func (m *meta) own() *rare {
	if m.rare == nil {
		m.rare = new(rare)
	}
	return m.rare
}

// streamed reports whether the entry has content, which is written at once.
func (e *entry) streamed() bool { return e.kind == kindFile && e.meta.size > 0 }

// parse checks a header. It returns nil for what has no place on the stage.
func parse(hdr *tar.Header, report *Report) (*entry, error) {
	switch hdr.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil, checkGlobal(hdr)
	case 'V': // GNU: a label of the volume
		return nil, nil
	}
	name, err := clean(hdr.Name)
	if err != nil {
		return nil, err
	}
	if e, done, err := marker(name, report); done || err != nil {
		return e, err
	}
	if hdr.Mode&0o170000 == 0o140000 {
		report.Sockets++
		return nil, nil
	}
	e := &entry{name: name}
	if err := e.classify(hdr, report); err != nil {
		return nil, err
	}
	if e.kind != kindWhiteout && e.kind != kindLink {
		e.meta, err = newMeta(hdr)
		if err != nil {
			return nil, err
		}
		if err := e.takeXattrs(hdr.PAXRecords, report); err != nil {
			return nil, err
		}
	}
	if name == "" && e.kind != kindDir {
		return nil, errors.New("the root of a layer must be a directory")
	}
	return e, nil
}

func (e *entry) classify(hdr *tar.Header, report *Report) (err error) {
	switch hdr.Typeflag {
	case tar.TypeReg, '\x00', tar.TypeCont, tar.TypeGNUSparse:
		e.kind = kindFile
		if sparse(hdr) {
			report.Sparse += hdr.Size
		}
	case tar.TypeDir:
		e.kind = kindDir
	case tar.TypeLink:
		e.kind = kindLink
		e.target, err = clean(hdr.Linkname)
		if err != nil {
			return fmt.Errorf("hard link to %q: %w", clip(hdr.Linkname), err)
		}
	case tar.TypeSymlink:
		e.kind = kindOther
		if hdr.Linkname == "" || len(hdr.Linkname) > maxPath {
			return fmt.Errorf("symbolic link with a target of %d bytes", len(hdr.Linkname))
		}
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		e.kind = kindOther
		if hdr.Typeflag == tar.TypeChar && hdr.Devmajor == 0 && hdr.Devminor == 0 {
			e.kind, e.device = kindWhiteout, true
			report.Devices++
		}
	default:
		return fmt.Errorf("unknown type %q", hdr.Typeflag)
	}
	return nil
}

func sparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func newMeta(hdr *tar.Header) (*meta, error) {
	m := &meta{typeflag: hdr.Typeflag, mode: uint16(hdr.Mode & 0o7777)}
	if hdr.Uid < 0 || hdr.Uid > math.MaxUint32 || hdr.Gid < 0 || hdr.Gid > math.MaxUint32 {
		return nil, fmt.Errorf("owner %d:%d is not possible", hdr.Uid, hdr.Gid)
	}
	m.uid, m.gid = uint32(hdr.Uid), uint32(hdr.Gid)
	m.mtime = uint32(min(max(hdr.ModTime.Unix(), 0), math.MaxUint32))
	switch hdr.Typeflag {
	case tar.TypeReg, '\x00', tar.TypeCont, tar.TypeGNUSparse:
		m.typeflag, m.size = tar.TypeReg, hdr.Size
	case tar.TypeSymlink:
		m.own().linkname, m.mode = hdr.Linkname, 0o777
	case tar.TypeChar, tar.TypeBlock:
		if hdr.Devmajor < 0 || hdr.Devmajor > maxMajor || hdr.Devminor < 0 || hdr.Devminor > maxMinor {
			return nil, fmt.Errorf("device %d:%d is not possible", hdr.Devmajor, hdr.Devminor)
		}
		m.own().major, m.own().minor = uint32(hdr.Devmajor), uint32(hdr.Devminor)
	}
	return m, nil
}

// clean returns name without "./", leading, doubled and trailing slashes.
func clean(name string) (string, error) {
	if strings.Contains(name, "\x00") {
		return "", errors.New("the name contains a NUL")
	}
	if cleanAlready(name) {
		return name, checkLength(name)
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return "", errors.New("the name contains \"..\"")
		default:
			parts = append(parts, part)
		}
	}
	name = strings.Join(parts, "/")
	return name, checkLength(name)
}

// cleanAlready recognises most names without taking them apart.
func cleanAlready(name string) bool {
	return name != "" && name[0] != '/' && name[0] != '.' && name[len(name)-1] != '/' &&
		!strings.Contains(name, "//") && !strings.Contains(name, "/.")
}

func checkLength(name string) error {
	if len(name) > maxPath {
		return fmt.Errorf("the name has %d bytes, Linux allows %d", len(name), maxPath)
	}
	for len(name) > maxName {
		i := strings.LastIndexByte(name[:maxName+1], '/')
		if i < 0 {
			return fmt.Errorf("a part of the name is longer than %d bytes", maxName)
		}
		name = name[i+1:]
	}
	return nil
}

// checkGlobal refuses a global header that would change entries: container
// engines ignore such headers, tar programs do not.
func checkGlobal(hdr *tar.Header) error {
	for key := range hdr.PAXRecords {
		switch {
		case key == "path", key == "linkpath", key == "size", key == "uid", key == "gid", key == "mtime",
			strings.HasPrefix(key, "SCHILY."), strings.HasPrefix(key, "GNU."):
			return fmt.Errorf("global header sets %q for all entries, which is not supported", clip(key))
		}
	}
	return nil
}
