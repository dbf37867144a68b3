package tarfs

import (
	"fmt"
	"strings"
)

const (
	paxXattr      = "SCHILY.xattr."
	overlayXattrs = "trusted.overlay."
	opaqueXattr   = "trusted.overlay.opaque"
)

// takeXattrs keeps the attributes that squashfs can hold. Those of overlayfs
// are not kept, because they redirect look-ups to other places of the layers
// below; only its opaque mark is understood, as a tar of an overlay's upper
// directory has it.
func (e *entry) takeXattrs(records map[string]string, report *Report) error {
	acl, other, total := false, false, len(e.name)+len(e.meta.more().linkname)
	for record, value := range records {
		key, ok := strings.CutPrefix(record, paxXattr)
		switch {
		case strings.HasPrefix(record, "SCHILY.acl."), strings.HasPrefix(key, "system.posix_acl_"):
			acl = true
		case !ok:
		case key == opaqueXattr && value == "y" && e.kind == kindDir && e.name != "":
			e.opaque = true
			report.Opaque++
		case !storable(key):
			other = true
		case len(key) > maxName || len(value) > maxXattr:
			return fmt.Errorf("extended attribute %q of %d bytes is too long", clip(key), len(value))
		default:
			more := e.meta.own()
			if more.xattrs == nil {
				more.xattrs = make(map[string]string)
			}
			more.xattrs[record] = value
			total += len(record) + len(value) + 16
		}
	}
	if total > maxExtended {
		return fmt.Errorf("extended attributes of %d bytes are too long together, at most %d are supported", total, maxExtended)
	}
	if acl {
		report.ACLs++
	}
	if other {
		report.Xattrs++
	}
	return nil
}

func storable(key string) bool {
	if strings.HasPrefix(key, overlayXattrs) {
		return false
	}
	for _, space := range []string{"user.", "trusted.", "security."} {
		if strings.HasPrefix(key, space) && len(key) > len(space) {
			return true
		}
	}
	return false
}
