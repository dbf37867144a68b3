package readymade

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"slices"

	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/rootfs/blockmap"
	"github.com/gitboot/gitboot/stage/squash"
)

// An end is the last bytes of a file, which lie in a block with those of others.
type end struct {
	length int32
	// in is an older file that has an end of that length of a file of that name, nil until
	// one is found, and span where.
	in   *rootfs.Reader
	span rootfs.Span
}

// ends are those that are looked for: by the offset of their block and by where in it they
// begin, and by hashes of the names of files that have them.
type ends struct {
	of    map[int64]map[int32]*end
	named map[uint64]*end
	seed  maphash.Seed
}

// eachEnd gives the last block of each file.
func (e *ends) eachEnd(ctx context.Context, r *rootfs.Reader, do func(name uint64, last rootfs.Span)) error {
	return r.Spans(func(path string, spans []rootfs.Span) error {
		if n := len(spans); n > 0 && spans[n-1].Size > 0 {
			do(maphash.String(e.seed, path), spans[n-1])
		}
		return ctx.Err()
	})
}

// want notes the ends that are in blocks which are wanted.
func (e *ends) want(ctx context.Context, r *rootfs.Reader, wanted func(off int64) bool) error {
	return e.eachEnd(ctx, r, func(name uint64, last rootfs.Span) {
		if !last.Shared || !wanted(last.Offset) || len(e.named) == maxEnds {
			return
		}
		in := e.of[last.Offset]
		if in == nil {
			in = map[int32]*end{}
			e.of[last.Offset] = in
		}
		if in[last.At] == nil {
			in[last.At] = &end{length: last.Length}
		}
		e.named[name] = in[last.At]
	})
}

// find looks for them in an older file.
func (e *ends) find(ctx context.Context, r *rootfs.Reader) error {
	return e.eachEnd(ctx, r, func(name uint64, last rootfs.Span) {
		if one := e.named[name]; one != nil && one.in == nil && last.Length == one.length {
			one.in, one.span = r, last
		}
	})
}

// blocks are those of which all ends were found, in their order, and how many bytes they
// hold together.
func (e *ends) blocks() (list [][]*end, size int64) {
	for _, off := range slices.Sorted(maps.Keys(e.of)) {
		var block []*end
		length := int32(0)
		for _, at := range slices.Sorted(maps.Keys(e.of[off])) {
			one := e.of[off][at]
			if one.in == nil || at != length || length+one.length > blockmap.MaxBlock {
				block = nil
				break
			}
			block, length = append(block, one), length+one.length
		}
		if block != nil && size+int64(length) <= maxRepacked {
			list, size = append(list, block), size+int64(length)
		}
	}
	return list, size
}

// pack packs blocks as those of an object are packed.
func pack(ctx context.Context, into *os.File, blocks [][]*end) error {
	var in *rootfs.Reader
	var at rootfs.Stored
	var held, content []byte
	return squash.Pieces(ctx, into, func(add func([]byte) error) (err error) {
		for _, block := range blocks {
			content = content[:0]
			for _, one := range block {
				if one.in != in || one.span.Stored != at {
					if held, err = one.in.Expand(one.span.Stored); err != nil {
						return err
					}
					in, at = one.in, one.span.Stored
				}
				from, to := int64(one.span.At), int64(one.span.At)+int64(one.length)
				if from < 0 || to > int64(len(held)) {
					return fmt.Errorf("%w: a file's end at %d in a block of %d bytes", rootfs.ErrCorrupt, from, len(held))
				}
				content = append(content, held[from:to]...)
			}
			if err := add(content); err != nil {
				return err
			}
		}
		return nil
	})
}
