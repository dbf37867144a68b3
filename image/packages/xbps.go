package packages

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// parseXbps reads an XML property list whose top dictionary has a dictionary
// per package, with pkgver (name-version_revision), architecture and state.
func parseXbps(data []byte) ([]Package, error) {
	x := plist{}
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("parse property list: %w", err)
		}
		x.token(token)
	}
	if x.depth != 0 {
		return nil, errors.New("parse property list: it ends in the middle")
	}
	return x.found, nil
}

// A plist is how far the reading of a property list is.
type plist struct {
	depth   int // dictionaries and arrays around
	text    []byte
	key     string // last one in the package's dictionary
	current Package
	state   string
	found   []Package
}

// packageDepth is where the values of one package are.
const packageDepth = 2

func (x *plist) token(token xml.Token) {
	switch t := token.(type) {
	case xml.StartElement:
		x.text = x.text[:0]
		if container(t.Name.Local) {
			if x.depth++; x.depth == packageDepth {
				x.current, x.state, x.key = Package{System: Xbps}, "installed", ""
			}
		}
	case xml.CharData:
		if x.depth == packageDepth {
			x.text = append(x.text, t...)
		}
	case xml.EndElement:
		x.end(t.Name.Local)
	}
}

func container(element string) bool { return element == "dict" || element == "array" }

func (x *plist) end(element string) {
	switch {
	case container(element):
		if x.depth == packageDepth && x.current.Name != "" && (x.state == "installed" || x.state == "unpacked") {
			x.found = append(x.found, x.current)
		}
		x.depth--
	case x.depth == packageDepth && element == "key":
		x.key = string(x.text)
	case x.depth == packageDepth && element == "string":
		x.value(string(x.text))
	}
}

func (x *plist) value(s string) {
	switch x.key {
	case "pkgver":
		if i := strings.LastIndexByte(s, '-'); i > 0 {
			x.current.Name, x.current.Version = s[:i], s[i+1:]
		}
	case "architecture":
		x.current.Arch = s
	case "state":
		x.state = s
	}
}
