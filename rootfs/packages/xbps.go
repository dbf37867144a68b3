package packages

import (
	"errors"
	"strings"
)

var errPlist = errors.New("the property list is damaged")

// parseXbps reads an XML property list whose top dictionary has a dictionary
// per package, with pkgver (name-version_revision), architecture and state. It
// knows as much of XML as proplib writes: elements without attributes that
// matter, the five entities, comments.
func parseXbps(text string) ([]Package, error) {
	x := plist{}
	for {
		before, rest, ok := strings.Cut(text, "<")
		if !ok {
			break
		}
		end := ">"
		if strings.HasPrefix(rest, "!--") {
			end = "-->"
		}
		element, rest, ok := strings.Cut(rest, end)
		if !ok || x.depth < 0 {
			return nil, errPlist
		}
		if name, closing := strings.CutPrefix(element, "/"); closing {
			x.end(name, before)
		} else {
			x.start(element)
		}
		text = rest
	}
	if x.depth != 0 {
		return nil, errPlist
	}
	return x.found, nil
}

// A plist is how far the reading of a property list is.
type plist struct {
	depth   int    // dictionaries and arrays around
	key     string // last one in the package's dictionary
	current Package
	state   string
	found   []Package
}

// packageDepth is where the values of one package are.
const packageDepth = 2

func container(element string) bool { return element == "dict" || element == "array" }

func (x *plist) start(element string) {
	if !container(element) {
		return
	}
	if x.depth++; x.depth == packageDepth {
		x.current, x.state, x.key = Package{System: Xbps}, "installed", ""
	}
}

// end takes in an element that ends after some text.
func (x *plist) end(element, text string) {
	switch {
	case container(element):
		if x.depth == packageDepth && x.current.Name != "" && (x.state == "installed" || x.state == "unpacked") {
			x.found = append(x.found, x.current)
		}
		x.depth--
	case x.depth == packageDepth && element == "key":
		x.key = text
	case x.depth == packageDepth && element == "string":
		x.value(text)
	}
}

func (x *plist) value(s string) {
	switch x.key {
	case "pkgver":
		s = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&").Replace(s)
		if i := strings.LastIndexByte(s, '-'); i > 0 {
			x.current.Name, x.current.Version = s[:i], s[i+1:]
		}
	case "architecture":
		x.current.Arch = s
	case "state":
		x.state = s
	}
}
