package pack

import (
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
)

// What is taken of a pack. The repos that people keep stay far below.
const (
	// maxObjects bounds the memory that a pack takes while it is received:
	// about 120 bytes for each object.
	maxObjects = 4 << 20
	// maxCommit bounds a commit or a tag, maxTree a folder: that of about
	// 400,000 files.
	maxCommit = 1 << 20
	maxTree   = 16 << 20
	// maxBlob bounds a file that is stored as it is, and maxPatched one that
	// is put together from differences: git stores larger ones as they are
	// (core.bigFileThreshold).
	maxBlob    = 2 << 30
	maxPatched = 512 << 20
	// maxChain is git's own bound of how many differences follow one another.
	maxChain = 4095
	// A pack may ask for freeWork bytes to be inflated and put together, and
	// for workRate more with each of its own bytes. Twenty thousand versions
	// of a list of 100 KB are a thousandth of that.
	freeWork = 1 << 30
	workRate = 1024
	// openWork is what turning to another entry costs, in bytes that could
	// have been put together meanwhile; seekWork, reading a part of a base.
	openWork = 1024
	seekWork = 512
)

// fits refuses an object that is too large for what it is.
func fits(kind plumbing.ObjectType, size int64) error {
	limit := int64(maxCommit)
	switch kind {
	case plumbing.TreeObject:
		limit = maxTree
	case plumbing.BlobObject:
		limit = maxBlob
	}
	if size > limit {
		return fmt.Errorf("it holds a %s of %s, of which at most %s are taken; keep what is large out of the config repo, and name it by URL and sha256", kind, bytesOf(size), bytesOf(limit))
	}
	return nil
}

func fitsPatched(kind plumbing.ObjectType, size int64) error {
	if size > maxPatched {
		return fmt.Errorf("an object of %s is stored as a difference, and only %s are put together; keep it out of the config repo, and name it by URL and sha256", bytesOf(size), bytesOf(maxPatched))
	}
	return fits(kind, size)
}

func bytesOf(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// A meter counts the bytes that are inflated and put together. As a few can
// stand for very many, it is bounded by how many they come from.
type meter struct{ work, from int64 }

func (m *meter) add(n int64) error {
	if m.work += n; m.work > freeWork+workRate*m.from {
		return fmt.Errorf("its %s unfold to more than %s; a repo whose large files change all the time is not followed: keep those elsewhere, and name them by URL and sha256", bytesOf(m.from), bytesOf(freeWork+workRate*m.from))
	}
	return nil
}
