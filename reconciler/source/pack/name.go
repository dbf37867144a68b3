package pack

import (
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"
)

// A namer computes objects' names, by the SHA-1 that detects known ways of
// making collisions, as git does.
type namer struct {
	sum  plumbing.Hasher
	head []byte
}

func newNamer() *namer { return &namer{sum: plumbing.NewHasher(plumbing.BlobObject, 0)} }

// begin starts an object, whose content is then written.
func (n *namer) begin(kind plumbing.ObjectType, size int64) {
	n.sum.Reset()
	n.head = append(append(n.head[:0], kind.String()...), ' ')
	n.sum.Write(append(strconv.AppendInt(n.head, size, 10), 0))
}

func (n *namer) Write(p []byte) (int, error) { return n.sum.Write(p) }

func (n *namer) name() plumbing.Hash { return n.sum.Sum() }
