package relayer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Made begins what the history of an image says of a layer by packages.
const Made = "layer by packages: "

// maxSaid bounds that, in bytes: all of it is in the image's configuration, which everybody
// fetches.
const maxSaid = 4000

// history says of each layer that there is whose files it has.
func (l *layout) history() (said []string) {
	for layer, size := range l.sizes {
		if size > 0 {
			said = append(said, Made+list(slices.Sorted(maps.Keys(l.groups[layer]))))
		}
	}
	return said
}

// list names packages first, then the folders whose other files are there.
func list(groups []string) string {
	var packages, folders []string
	for _, g := range groups {
		switch {
		case g == rest:
			folders = append(folders, "configuration and state")
		case strings.HasPrefix(g, "/"):
			folders = append(folders, g)
		default:
			packages = append(packages, g)
		}
	}
	names, length := slices.Concat(packages, folders), 0
	for i, name := range names {
		if length += len(name) + len(", "); length > maxSaid {
			return strings.Join(names[:i], ", ") + fmt.Sprintf(" and %d more", len(names)-i)
		}
	}
	return strings.Join(names, ", ")
}
