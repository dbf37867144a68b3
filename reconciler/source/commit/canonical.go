// Package commit reads commits in the one form that git writes, and checks who
// signed them.
package commit

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// MaxSize bounds a commit object: message, signatures and merged tags.
const MaxSize = 1 << 20

// A Commit is what a commit object says.
type Commit struct {
	Hash, Tree        plumbing.Hash
	Parents           []plumbing.Hash
	Author, Committer Identity
	// Signature is the header gpgsig's value, "" if there is none, and Signed
	// the whole object but for that header: what the signature is made over.
	Signature string
	Signed    []byte
	// Second is whether there is a header gpgsig-sha256, which is not signed
	// either.
	Second  bool
	Message string
}

// An Identity is who, and when.
type Identity struct {
	Name string
	When time.Time
}

// Parse reads a commit in the one form that git writes, and refuses any
// other: programs differ in what they make of headers that are twice there or
// out of place, so that one would check a commit and another use it (git's
// Documentation/gitformat-signature, and fsck.c, whose rules these are).
func Parse(raw []byte) (*Commit, error) {
	if len(raw) > MaxSize {
		return nil, fmt.Errorf("it is larger than %d KiB", MaxSize>>10)
	}
	if bytes.IndexByte(raw, 0) >= 0 {
		return nil, errors.New("it holds a zero byte")
	}
	head, message, ok := strings.Cut(string(raw), "\n\n")
	if !ok {
		return nil, errors.New("no empty line ends its headers")
	}
	c := &Commit{Hash: plumbing.ComputeHash(plumbing.CommitObject, raw), Message: message}
	rest, err := c.standard(strings.Split(head, "\n"))
	if err != nil {
		return nil, err
	}
	own := len(head) - len(strings.Join(rest, "\n"))
	kept, err := c.extras(rest)
	if err != nil {
		return nil, err
	}
	c.Signed = []byte(strings.TrimSuffix(head[:own], "\n"))
	for _, line := range kept {
		c.Signed = append(append(c.Signed, '\n'), line...)
	}
	c.Signed = append(append(c.Signed, "\n\n"...), message...)
	return c, nil
}

// standard reads the headers that every commit begins with, and returns the
// lines after them.
func (c *Commit) standard(lines []string) ([]string, error) {
	var err error
	if c.Tree, err = objectName(lines[0], "tree"); err != nil {
		return nil, err
	}
	lines = lines[1:]
	for len(lines) > 0 && strings.HasPrefix(lines[0], "parent ") {
		p, err := objectName(lines[0], "parent")
		if err != nil {
			return nil, err
		}
		c.Parents, lines = append(c.Parents, p), lines[1:]
	}
	for _, who := range []struct {
		header string
		into   *Identity
	}{{"author", &c.Author}, {"committer", &c.Committer}} {
		if len(lines) == 0 {
			return nil, fmt.Errorf("it has no header %s", who.header)
		}
		if *who.into, err = parseIdentity(lines[0], who.header); err != nil {
			return nil, err
		}
		lines = lines[1:]
	}
	return lines, nil
}

// objectName reads a header that names an object.
func objectName(line, header string) (plumbing.Hash, error) {
	hex, ok := strings.CutPrefix(line, header+" ")
	if !ok || !plumbing.IsHash(hex) || strings.ToLower(hex) != hex {
		return plumbing.ZeroHash, fmt.Errorf("where its header %s belongs is %.60q", header, line)
	}
	return plumbing.NewHash(hex), nil
}

// maxTime is the last second that a commit may be of, the year 9999's.
const maxTime = 253402300799

// parseIdentity reads NAME <MAIL> SECONDS ZONE.
func parseIdentity(line, header string) (Identity, error) {
	wrong := fmt.Errorf("where its header %s belongs is %.60q", header, line)
	who, ok := strings.CutPrefix(line, header+" ")
	name, after, opened := strings.Cut(who, "<")
	mail, when, closed := strings.Cut(after, "> ")
	seconds, zone, zoned := strings.Cut(when, " ")
	if !ok || !opened || !closed || !zoned || !strings.HasSuffix(name, " ") || strings.ContainsAny(name+mail+when, "<>") {
		return Identity{}, wrong
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || at < 0 || at > maxTime || strconv.FormatInt(at, 10) != seconds {
		return Identity{}, wrong
	}
	if len(zone) != 5 || zone[0] != '+' && zone[0] != '-' || strings.Trim(zone[1:], "0123456789") != "" {
		return Identity{}, wrong
	}
	return Identity{Name: strings.Trim(name, " "), When: time.Unix(at, 0).UTC()}, nil
}

// extras reads the headers after the standard ones, of which a line that
// begins with a space continues the one before it, and returns those lines
// that a signature is made over.
func (c *Commit) extras(lines []string) (kept []string, err error) {
	var signature []string
	seen := map[string]bool{}
	at := ""
	for _, line := range lines {
		more, continued := strings.CutPrefix(line, " ")
		if !continued {
			at, more, _ = strings.Cut(line, " ")
		}
		switch {
		case continued && (at == "" || at == "encoding"):
			return nil, fmt.Errorf("%.60q continues no header", line)
		case !continued && !isExtra(at):
			return nil, fmt.Errorf("its header %.60q is twice there, out of place, or none", at)
		case !continued && seen[at] && isOnce(at):
			return nil, fmt.Errorf("its header %s is there twice", at)
		case !continued && more == "" && (isOnce(at) || at == "mergetag"):
			return nil, fmt.Errorf("its header %s is empty", at)
		}
		seen[at] = true
		if at == "gpgsig" {
			signature = append(signature, more)
		} else {
			kept = append(kept, line)
		}
	}
	c.Signature, c.Second = strings.Join(signature, "\n"), seen["gpgsig-sha256"]
	return kept, nil
}

// isExtra reports whether a header may follow the standard ones.
func isExtra(name string) bool {
	switch name {
	case "", "tree", "parent", "author", "committer":
		return false
	}
	if strings.HasPrefix(name, "gpgsig") && !isOnce(name) {
		return false // git takes it for a signature
	}
	return strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

func isOnce(name string) bool {
	return name == "encoding" || name == "gpgsig" || name == "gpgsig-sha256"
}

// A FormError says that a commit, or a tag, is not of the form in which git
// writes them.
type FormError struct {
	Hash   string
	Tag    bool
	Reason string
}

func (e *FormError) Error() string {
	what, anew := "commit", "git commit --amend"
	if e.Tag {
		what, anew = "tag", "git tag --force"
	}
	return fmt.Sprintf("reading %s %s: %s; git writes no such %s, so find out who pushed it, and make it anew with %s", what, e.Hash, e.Reason, what, anew)
}
