package packages

import (
	"errors"
	"fmt"
	"strings"
)

var errPlist = errors.New("the property list is damaged")

// parseXbps reads a property list whose top dictionary has a dictionary per package, with
// pkgver (name-version_revision), architecture and state.
func parseXbps(text string) ([]Owner, error) {
	x := xbpsPackages{}
	err := eachElement(text, x.start, x.end)
	return x.found, err
}

// eachElement calls functions where elements begin and end. It knows as much of XML as
// proplib writes: elements without attributes that matter, the five entities, comments.
func eachElement(text string, start func(element string, depth int), end func(element, text string, depth int)) error {
	depth := 0 // dictionaries and arrays around
	for {
		before, rest, ok := strings.Cut(text, "<")
		if !ok {
			break
		}
		mark := ">"
		if strings.HasPrefix(rest, "!--") {
			mark = "-->"
		}
		element, rest, ok := strings.Cut(rest, mark)
		if !ok || depth < 0 {
			return errPlist
		}
		name, closing := strings.CutPrefix(element, "/")
		if !closing && container(name) {
			depth++
		}
		if closing {
			end(name, before, depth)
		} else {
			start(name, depth)
		}
		if closing && container(name) {
			depth--
		}
		text = rest
	}
	if depth != 0 {
		return errPlist
	}
	return nil
}

func container(element string) bool { return element == "dict" || element == "array" }

func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&").Replace(s)
}

// xbpsPackages is how far the reading of a list of packages is.
type xbpsPackages struct {
	key     string // last one in the package's dictionary
	current Owner
	state   string
	found   []Owner
}

// packageDepth is where the values of one package are.
const packageDepth = 2

func (x *xbpsPackages) start(element string, depth int) {
	if container(element) && depth == packageDepth {
		x.current, x.state, x.key = Owner{Package: Package{System: Xbps}}, "installed", ""
	}
}

// end takes in an element that ends after some text.
func (x *xbpsPackages) end(element, text string, depth int) {
	switch {
	case depth != packageDepth:
	case container(element):
		if x.current.Name != "" && (x.state == "installed" || x.state == "unpacked") {
			x.found = append(x.found, x.current)
		}
	case element == "key":
		x.key = text
	case element == "string":
		x.value(unescape(text))
	}
}

func (x *xbpsPackages) value(s string) {
	switch x.key {
	case "pkgver":
		if i := strings.LastIndexByte(s, '-'); i > 0 {
			x.current.Name, x.current.Version = s[:i], s[i+1:]
		}
	case "architecture":
		x.current.Arch = s
	case "source-revisions": // SOURCE:COMMIT
		x.current.Source, _, _ = strings.Cut(s, ":")
	case "state":
		x.state = s
	}
}

// ownersXbps reads the lists that xbps keeps of each package's files, .NAME-files.plist: a
// dictionary of arrays, by kind, of dictionaries with "file" (xbps' lib/package_unpack.c).
func ownersXbps(root Root, do func(Owner, string)) error {
	found, err := listXbps(root)
	if err != nil {
		return err
	}
	for _, o := range found {
		data, path, err := firstFile(root, maxText/4, xbpsDir+"/."+o.Name+xbpsFiles)
		if err != nil {
			return err
		}
		key := ""
		err = eachElement(string(data), func(string, int) {}, func(element, text string, depth int) {
			switch {
			case depth != packageDepth+1:
			case element == "key":
				key = text
			case element == "string" && key == "file":
				do(o, unescape(text))
			}
		})
		if err != nil {
			return fmt.Errorf("read package database /%s: %w", path, err)
		}
	}
	return nil
}
