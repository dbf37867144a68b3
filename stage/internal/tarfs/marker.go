package tarfs

import (
	"errors"
	"strings"
)

// Markers of the OCI image specification (layer.md, "Whiteouts") and of aufs,
// which it took them from.
const (
	whiteoutPrefix = ".wh."
	metadataPrefix = ".wh..wh."
	opaqueMarker   = ".wh..wh..opq"
)

// marker recognises names that are not files but say something about files.
// done means that the entry has been dealt with; e is nil if it is left out.
func marker(name string, report *Report) (e *entry, done bool, err error) {
	if !strings.Contains(name, whiteoutPrefix) {
		return nil, false, nil
	}
	dir, base := split(name)
	for part := range strings.SplitSeq(dir, "/") {
		if strings.HasPrefix(part, metadataPrefix) {
			report.Metadata++
			return nil, true, nil
		}
		if strings.HasPrefix(part, whiteoutPrefix) {
			return nil, true, errors.New("an entry below a whiteout")
		}
	}
	switch hidden, ok := strings.CutPrefix(base, whiteoutPrefix); {
	case base == opaqueMarker:
		report.Opaque++
		return &entry{kind: kindOpaque, name: dir}, true, nil
	case strings.HasPrefix(base, metadataPrefix):
		report.Metadata++
		return nil, true, nil
	case !ok:
		return nil, false, nil
	case hidden == "" || hidden == "." || hidden == "..":
		return nil, true, errors.New("a whiteout of no name")
	default:
		report.Whiteouts++
		return &entry{kind: kindWhiteout, name: join(dir, hidden)}, true, nil
	}
}

func split(name string) (dir, base string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}

func join(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}
