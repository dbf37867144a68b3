package packages

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Tags about files: each has a name, the number of its folder's, and a state (rpmtag.h,
// rpmfiles.h).
const (
	tagFileStates = 1029
	tagSourceRPM  = 1044
	tagDirIndexes = 1116
	tagBaseNames  = 1117
	tagDirNames   = 1118

	typeChar    = 1
	typeStrings = 8

	stateNormal = 0
)

// ownersRPM reads the lists of files in rpm's headers.
func ownersRPM(root Root, do func(Owner, string)) error {
	return eachHeader(root, func(header []byte) error {
		p, err := parseHeader(header)
		if err != nil {
			return err
		}
		var source, states, bases, dirs, indexes headerEntry
		err = eachTag(header, func(tag uint32, e headerEntry) error {
			switch tag {
			case tagFileStates:
				states = e
			case tagSourceRPM:
				source = e
			case tagBaseNames:
				bases = e
			case tagDirNames:
				dirs = e
			case tagDirIndexes:
				indexes = e
			}
			return nil
		})
		if err != nil {
			return err
		}
		return eachFile(bases, dirs, indexes, func(i int, file string) {
			if states.isNormal(i) {
				do(Owner{p, sourceRPM(source)}, file)
			}
		})
	})
}

// sourceRPM is the name in a source package's, NAME-VERSION-RELEASE.src.rpm.
func sourceRPM(e headerEntry) string {
	file, err := headerValue(e.data, e.kind, e.offset)
	if err != nil {
		return "" // there is none
	}
	for range 2 {
		file = file[:max(strings.LastIndexByte(file, '-'), 0)]
	}
	return file
}

// isNormal reports whether a package has its i-th file itself: what was not installed, or
// what another package's file has replaced since, stays in its list with another state.
// Where there are no states, as in packages themselves, all are.
func (e headerEntry) isNormal(i int) bool {
	at := e.offset + int64(i)
	return e.kind != typeChar || int64(i) >= e.count || at >= int64(len(e.data)) || e.data[at] == stateNormal
}

func eachFile(bases, dirs, indexes headerEntry, do func(int, string)) error {
	names, err := headerStrings(bases)
	if err != nil {
		return err
	}
	folders, err := headerStrings(dirs)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return nil
	}
	if indexes.kind != typeInt32 || indexes.count != int64(len(names)) || indexes.offset+4*indexes.count > int64(len(indexes.data)) {
		return errHeader
	}
	at := indexes.data[indexes.offset:]
	for i, name := range names {
		n := binary.BigEndian.Uint32(at[4*i:])
		if int64(n) >= int64(len(folders)) {
			return errHeader
		}
		do(i, folders[n]+name)
	}
	return nil
}

// headerStrings reads an array of strings, each ended by a zero.
func headerStrings(e headerEntry) ([]string, error) {
	if e.count == 0 {
		return nil, nil
	}
	if e.kind != typeStrings || e.offset > int64(len(e.data)) || e.count > int64(len(e.data)) {
		return nil, errHeader
	}
	rest, out := e.data[e.offset:], make([]string, 0, e.count)
	for range e.count {
		end := bytes.IndexByte(rest, 0)
		if end < 0 {
			return nil, errHeader
		}
		out, rest = append(out, string(rest[:end])), rest[end+1:]
	}
	return out, nil
}
