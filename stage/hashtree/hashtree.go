// Package hashtree makes the hash trees by which dm-verity verifies layers while
// they are read. One tree is one file, as veritysetup makes it and verifies it:
//
//	block 0     the superblock (cryptsetup, docs/on-disk-format-verity)
//	block 1…    the tree's levels, the highest first
//
// Each block of a level holds the hashes of 128 blocks of the one below it, of
// which the lowest is the layer itself; the hash of the highest level's one block
// is the root. Format 1, sha256, no salt, blocks of 4096 bytes, zeros behind the
// last hash of a level. The superblock's UUID comes from the layer's name, so that
// the same layer has the same tree everywhere.
//
// The kernel reads the tree and neither the superblock nor anything else that is
// not under the root (Documentation/admin-guide/device-mapper/verity.rst).
package hashtree

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

const (
	// Block is the size of the blocks that are verified, and of the tree's own.
	Block = 4096
	// Start is the tree's first block, behind the superblock.
	Start = 1

	perBlock = Block / sha256.Size
	readSize = 1 << 20
)

// Size is how many bytes the tree of so many takes.
func Size(size int64) int64 {
	n := int64(Start)
	for _, blocks := range levels((size + Block - 1) / Block) {
		n += blocks
	}
	return n * Block
}

// Write makes the tree of the size bytes that data gives, and returns its root,
// and their sha256. What is named is what the tree is of, as 64 hex digits.
func Write(ctx context.Context, w io.WriterAt, data io.Reader, size int64, named string) (sum, root string, err error) {
	if size <= 0 || size%Block != 0 {
		return "", "", fmt.Errorf("%d bytes are no whole number of blocks of %d", size, Block)
	}
	name, err := hex.DecodeString(named)
	if err != nil || len(name) < 16 {
		return "", "", fmt.Errorf("%q names nothing", named)
	}
	if _, err := w.WriteAt(superblock(size/Block, name[:16]), 0); err != nil {
		return "", "", err
	}
	t := newTree(w, size/Block)
	whole := sha256.New()
	if err := t.read(ctx, io.TeeReader(data, whole), size); err != nil {
		return "", "", err
	}
	root, err = t.root()
	return hex.EncodeToString(whole.Sum(nil)), root, err
}

// read adds the hashes of what is read.
func (t *tree) read(ctx context.Context, data io.Reader, size int64) error {
	buf := make([]byte, readSize)
	for left := size; left > 0; {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		chunk := buf[:min(left, readSize)]
		if _, err := io.ReadFull(data, chunk); err != nil {
			return fmt.Errorf("reading what it is of: %w", err)
		}
		left -= int64(len(chunk))
		for ; len(chunk) > 0; chunk = chunk[Block:] {
			if err := t.add(0, sha256.Sum256(chunk[:Block])); err != nil {
				return err
			}
		}
	}
	return nil
}

// superblock is struct verity_sb of cryptsetup's lib/verity/verity.c.
func superblock(blocks int64, uuid []byte) []byte {
	b := make([]byte, Block)
	copy(b, "verity\x00\x00")
	le := binary.LittleEndian
	le.PutUint32(b[8:], 1)  // version of the superblock
	le.PutUint32(b[12:], 1) // format of the hashes: salt first
	copy(b[16:32], uuid)
	copy(b[32:64], "sha256")
	le.PutUint32(b[64:], Block)
	le.PutUint32(b[68:], Block)
	le.PutUint64(b[72:], uint64(blocks))
	return b
}

// A tree is one that grows from its leaves.
type tree struct {
	w      io.WriterAt
	levels []*level // the lowest first
	top    [sha256.Size]byte
}

// A level holds the block of it that is being filled.
type level struct {
	at    int64 // where the block goes
	block [Block]byte
	n     int // hashes in it
}

// newTree lays out the levels of a tree.
func newTree(w io.WriterAt, blocks int64) *tree {
	sizes := levels(blocks)
	t := &tree{w: w, levels: make([]*level, len(sizes))}
	at := int64(Start)
	for i := len(sizes) - 1; i >= 0; i-- {
		t.levels[i] = &level{at: at * Block}
		at += sizes[i]
	}
	return t
}

// levels returns the sizes of a tree's levels in blocks, the lowest first.
func levels(blocks int64) (sizes []int64) {
	for n := blocks; n > 1; {
		n = (n + perBlock - 1) / perBlock
		sizes = append(sizes, n)
	}
	return sizes
}

// add puts a block's hash into a level; a level's full block is hashed in turn.
func (t *tree) add(i int, hash [sha256.Size]byte) error {
	if i == len(t.levels) {
		t.top = hash
		return nil
	}
	l := t.levels[i]
	copy(l.block[l.n*sha256.Size:], hash[:])
	if l.n++; l.n < perBlock {
		return nil
	}
	return t.flush(i)
}

func (t *tree) flush(i int) error {
	l := t.levels[i]
	if _, err := t.w.WriteAt(l.block[:], l.at); err != nil {
		return err
	}
	hash := sha256.Sum256(l.block[:])
	*l = level{at: l.at + Block}
	return t.add(i+1, hash)
}

// root ends the blocks that are not full.
func (t *tree) root() (string, error) {
	for i, l := range t.levels {
		if l.n == 0 {
			continue
		}
		if err := t.flush(i); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(t.top[:]), nil
}
