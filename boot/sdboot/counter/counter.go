// Package counter is the codec of the file names of boot entries, in which
// systemd-boot counts how often they are booted (systemd's "Automatic Boot
// Assessment" and the Boot Loader Specification, "Boot counting"):
//
//	ID.conf        not counted
//	ID+3.conf      may be booted three times
//	ID+2-1.conf    twice more, and was booted once
//	ID+0-3.conf    used up: it comes after all others in the menu
//
// The boot loader renames an entry before it loads it. A boot that proves good
// takes the count out of the name.
package counter

import (
	"fmt"
	"strconv"
	"strings"
)

// Entry is the end of the name of an entry's file.
const Entry = ".conf"

// A Name is the file name of an entry.
type Name struct {
	// ID is what is before the count, and Ext what is behind it, such as .conf.
	ID, Ext string
	Counted bool
	// Left is how often it may still be booted, Done how often it was.
	Left, Done int
}

// Parse reads a file name with the given end. What looks like no count is a part of
// the id, as it is to systemd-boot.
func Parse(file, ext string) (n Name, ok bool) {
	rest, ok := strings.CutSuffix(file, ext)
	if !ok || rest == "" {
		return n, false
	}
	n = Name{ID: rest, Ext: ext}
	at := strings.LastIndexByte(rest, '+')
	if at <= 0 {
		return n, true
	}
	left, done, counts := strings.Cut(rest[at+1:], "-")
	l, wrong := number(left)
	d := 0
	if counts && wrong == nil {
		d, wrong = number(done)
	}
	if wrong != nil {
		return n, true
	}
	return Name{ID: rest[:at], Ext: ext, Counted: true, Left: l, Done: d}, true
}

// number reads digits alone.
func number(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

// String is the file name.
func (n Name) String() string {
	switch {
	case !n.Counted:
		return n.ID + n.Ext
	case n.Done == 0:
		return fmt.Sprintf("%s+%d%s", n.ID, n.Left, n.Ext)
	}
	return fmt.Sprintf("%s+%d-%d%s", n.ID, n.Left, n.Done, n.Ext)
}
