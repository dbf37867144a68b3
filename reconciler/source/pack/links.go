package pack

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// CommitLinks reads what a commit names: its files, and what it came from.
func CommitLinks(commit []byte) (tree plumbing.Hash, parents []plumbing.Hash, err error) {
	for line := range bytes.Lines(commit) {
		word, hex, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		switch {
		case !plumbing.IsHash(hex):
		case word == "tree" && tree.IsZero():
			tree = plumbing.NewHash(hex)
			continue
		case word == "parent" && !tree.IsZero():
			parents = append(parents, plumbing.NewHash(hex))
			continue
		}
		break
	}
	if tree.IsZero() {
		err = fmt.Errorf("%w: a commit names no tree", errMalformed)
	}
	return tree, parents, err
}

// A Link is an entry of a tree.
type Link struct {
	Mode filemode.FileMode
	Name plumbing.Hash
}

// TreeLinks reads what a tree names. Its last value is an error, if it has one.
func TreeLinks(tree []byte) iter.Seq2[Link, error] {
	return func(yield func(Link, error) bool) {
		for len(tree) > 0 {
			head, rest, ok := bytes.Cut(tree, []byte{0})
			mode, _, named := strings.Cut(string(head), " ")
			bits, err := strconv.ParseUint(mode, 8, 32)
			if !ok || !named || err != nil || len(rest) < 20 {
				yield(Link{}, fmt.Errorf("%w: a tree has an entry that is none", errMalformed))
				return
			}
			link := Link{Mode: filemode.FileMode(bits & 0o170000), Name: plumbing.Hash(rest[:20])}
			if !yield(link, nil) {
				return
			}
			tree = rest[20:]
		}
	}
}
