// Package untrusted is for what strangers say: documents are bounded before they
// are read, content is verified while it is, and words are made fit to be shown.
package untrusted

import (
	"fmt"
	"strings"
)

// What manifests, indexes and configurations may be. The distribution-spec asks
// registries to take manifests of 4 MiB.
const (
	MaxDocument = 8 << 20
	// MaxValues bounds what is in one: each value costs up to some hundred bytes
	// of memory, for three of the document.
	MaxValues = 100_000
	// maxImages is many times what any index lists, and maxLayers what overlayfs
	// takes besides the hooks'.
	MaxImages = 1000
	MaxLayers = 499
	// maxBlob is a size that no registry has: sums of sizes must not wrap.
	MaxBlob = 1 << 50
)

// TooBig says that a document is larger than any has to be.
func TooBig(what string) error {
	return &UnsupportedError{what, fmt.Sprintf("it is larger than %d MiB", MaxDocument>>20), "an image's manifest and configuration are smaller; check what was pushed there"}
}

// TooMany says that a document lists more than any has to.
func TooMany(what string, n int, things string) error {
	return &UnsupportedError{what, fmt.Sprintf("it has more than %d %s", n, things), "check what was pushed there"}
}

// CheckDocument refuses JSON that takes much memory to read, before it is read.
func CheckDocument(data []byte, what string) error {
	if len(data) > MaxDocument {
		return TooBig(what)
	}
	if values(data) > MaxValues {
		return TooMany(what, MaxValues, "values")
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

// Few shows the first of many names.
func Few(names []string) string {
	const shown = 20
	text := make([]string, 0, shown)
	for _, n := range names[:min(len(names), shown)] {
		text = append(text, Printable(n, 120))
	}
	if len(names) > shown {
		text = append(text, fmt.Sprintf("… (%d in all)", len(names)))
	}
	return strings.Join(text, ", ")
}
