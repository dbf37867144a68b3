package image

import (
	"fmt"
	"strings"
)

// What manifests, indexes and configurations may be. The distribution-spec asks
// registries to take manifests of 4 MiB.
const (
	maxDocument = 8 << 20
	// maxValues bounds what is in one: each value costs up to some hundred bytes
	// of memory, for three of the document.
	maxValues = 100_000
	// maxImages is many times what any index lists, and maxLayers what overlayfs
	// takes besides the hooks'.
	maxImages = 1000
	maxLayers = 499
	// maxBlob is a size that no registry has: sums of sizes must not wrap.
	maxBlob = 1 << 50
)

func tooBig(what string) error {
	return &UnsupportedError{what, fmt.Sprintf("it is larger than %d MiB", maxDocument>>20), "an image's manifest and configuration are smaller; check what was pushed there"}
}

func tooMany(what string, n int, things string) error {
	return &UnsupportedError{what, fmt.Sprintf("it has more than %d %s", n, things), "check what was pushed there"}
}

// checkDocument refuses JSON that takes much memory to read, before it is read.
func checkDocument(data []byte, what string) error {
	if len(data) > maxDocument {
		return tooBig(what)
	}
	if values(data) > maxValues {
		return tooMany(what, maxValues, "values")
	}
	return nil
}

// values counts the commas of a JSON document outside of its strings.
func values(data []byte) (n int) {
	quoted := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			n++
		}
	}
	return n
}

// few shows the first of many names.
func few(names []string) string {
	const shown = 20
	text := make([]string, 0, shown)
	for _, n := range names[:min(len(names), shown)] {
		text = append(text, printable(n, 120))
	}
	if len(names) > shown {
		text = append(text, fmt.Sprintf("… (%d in all)", len(names)))
	}
	return strings.Join(text, ", ")
}
