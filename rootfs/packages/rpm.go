package packages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strconv"
)

// readRPM reads which packages rpm's database has.
func readRPM(root Root) (found []Package, err error) {
	err = eachHeader(root, func(header []byte) error {
		if len(found) == maxEntries {
			return errors.New("there are more packages than any system has")
		}
		p, err := parseHeader(header)
		if err == nil && p.Name != "gpg-pubkey" { // a key that rpm keeps beside the packages
			found = append(found, p)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// eachHeader reads rpm's database in whichever of its three forms it is there:
// sqlite, ndb or Berkeley DB. All of them hold one header per package.
func eachHeader(root Root, do func([]byte) error) error {
	data, name, err := firstFile(root, maxRPM, rpmFiles()...)
	if err != nil || len(data) == 0 {
		return err
	}
	var wal []byte
	if path.Base(name) == sqliteFile {
		if wal, _, err = firstFile(root, maxRPM, name+walSuffix); err != nil {
			return err
		}
	}
	if err := rpmBlobs(path.Base(name), data, wal, do); err != nil {
		return fmt.Errorf("read package database /%s: %w", name, err)
	}
	return nil
}

const (
	sqliteFile = "rpmdb.sqlite"
	walSuffix  = "-wal" // of its write-ahead log
)

func rpmFiles() (paths []string) {
	for _, dir := range []string{"usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm"} {
		paths = append(paths, dir+"/"+sqliteFile, dir+"/Packages.db", dir+"/Packages")
	}
	return paths
}

func rpmBlobs(name string, data, wal []byte, do func([]byte) error) error {
	switch name {
	case sqliteFile:
		return sqliteBlobs(data, wal, "Packages", do)
	case "Packages.db":
		return ndbBlobs(data, do)
	}
	return bdbBlobs(data, do)
}

// Tags and types of an rpm header (rpm's include/rpm/rpmtag.h).
const (
	tagName    = 1000
	tagVersion = 1001
	tagRelease = 1002
	tagEpoch   = 1003
	tagArch    = 1022

	typeInt32  = 4
	typeString = 6
	typeI18N   = 9
)

// maxTags bounds a header's entries; rpm knows a few hundred tags.
const maxTags = 4096

var errHeader = errors.New("a package's header is damaged")

// eachTag calls do with the entries of a header as the database holds it: how many there
// are and how many bytes of data, the entries (tag, type, offset, count), the data; all
// numbers big-endian (rpm's docs, "RPM v4 package format").
func eachTag(b []byte, do func(tag uint32, v headerEntry) error) error {
	if len(b) < 8 {
		return errHeader
	}
	entries, size := int64(binary.BigEndian.Uint32(b)), int64(binary.BigEndian.Uint32(b[4:]))
	if entries > maxTags || entries*16+size > int64(len(b)-8) {
		return errHeader
	}
	index, data := b[8:8+entries*16], b[8+entries*16:]
	for ; len(index) > 0; index = index[16:] {
		u32 := func(at int) uint32 { return binary.BigEndian.Uint32(index[at:]) }
		if err := do(u32(0), headerEntry{data, u32(4), int64(u32(8)), int64(u32(12))}); err != nil {
			return err
		}
	}
	return nil
}

// A headerEntry is where a header has the values of a tag: count of a kind from offset on.
type headerEntry struct {
	data          []byte
	kind          uint32
	offset, count int64
}

// parseHeader reads which package a header is of.
func parseHeader(b []byte) (Package, error) {
	p := Package{System: RPM}
	var release, epoch string
	err := eachTag(b, func(tag uint32, e headerEntry) (err error) {
		var field *string
		switch tag {
		case tagName:
			field = &p.Name
		case tagVersion:
			field = &p.Version
		case tagRelease:
			field = &release
		case tagEpoch:
			field = &epoch
		case tagArch:
			field = &p.Arch
		default:
			return nil
		}
		*field, err = headerValue(e.data, e.kind, e.offset)
		return err
	})
	if err != nil {
		return p, err
	}
	if epoch != "" {
		p.Version = epoch + ":" + p.Version
	}
	if release != "" {
		p.Version += "-" + release
	}
	return p, nil
}

func headerValue(data []byte, kind uint32, offset int64) (string, error) {
	if offset > int64(len(data)) {
		return "", errHeader
	}
	data = data[offset:]
	switch {
	case kind == typeInt32 && len(data) >= 4:
		return strconv.FormatUint(uint64(binary.BigEndian.Uint32(data)), 10), nil
	case kind == typeString, kind == typeI18N:
		end := bytes.IndexByte(data[:min(len(data), maxWord+1)], 0)
		if end < 0 {
			return "", errHeader
		}
		return string(data[:end]), nil
	}
	return "", errHeader
}
