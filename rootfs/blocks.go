package rootfs

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A decompressor expands in to at most limit bytes.
type decompressor func(in []byte, limit int) ([]byte, error)

func newDecompressor(id uint16) (decompressor, error) {
	switch id {
	case 1:
		return inflate, nil
	case 6:
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(4<<20))
		if err != nil {
			return nil, err
		}
		return func(in []byte, limit int) ([]byte, error) {
			out, err := dec.DecodeAll(in, make([]byte, 0, limit))
			if err == nil && len(out) > limit {
				err = fmt.Errorf("%d bytes where %d fit", len(out), limit)
			}
			return out, err
		}, nil
	}
	return nil, fmt.Errorf("squashfs compressor %d is not read here; make the layer with zstd", id)
}

func inflate(in []byte, limit int) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(in))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	out, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	if err == nil && len(out) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return out, err
}

// block reads size stored bytes at off and expands them to at most limit.
func (r *Reader) block(off int64, size int, compressed bool, limit int) ([]byte, error) {
	if off < 0 || size > limit {
		return nil, corrupt("block of %d bytes at %d", size, off)
	}
	buf := make([]byte, size)
	if _, err := r.file.ReadAt(buf, off); err != nil {
		return nil, corrupt("reading %d bytes at %d: %v", size, off, err)
	}
	if !compressed {
		return buf, nil
	}
	out, err := r.decompress(buf, limit)
	if err != nil {
		return nil, corrupt("expanding the block at %d: %v", off, err)
	}
	return out, nil
}

// metaBlock returns the metadata block at off and where the next one begins.
func (r *Reader) metaBlock(off int64) ([]byte, int64, error) {
	e, err := r.meta.get(off, func() (entry, error) {
		var head [2]byte
		if off < 0 {
			return entry{}, corrupt("metadata at %d", off)
		}
		if _, err := r.file.ReadAt(head[:], off); err != nil {
			return entry{}, corrupt("reading metadata at %d: %v", off, err)
		}
		h := binary.LittleEndian.Uint16(head[:])
		size := int(h & 0x7fff)
		data, err := r.block(off+2, size, h&0x8000 == 0, metadataSize)
		return entry{data: data, next: off + 2 + int64(size)}, err
	})
	return e.data, e.next, err
}

// A stream reads a table that is cut into metadata blocks.
type stream struct {
	r    *Reader
	next int64
	rest []byte
}

// stream positions at offset within the block at start.
func (r *Reader) stream(start int64, offset int) (*stream, error) {
	data, next, err := r.metaBlock(start)
	if err != nil {
		return nil, err
	}
	if offset > len(data) {
		return nil, corrupt("offset %d in a metadata block of %d bytes", offset, len(data))
	}
	return &stream{r: r, next: next, rest: data[offset:]}, nil
}

// take returns the next n bytes; n must be small, it is allocated.
func (s *stream) take(n int) ([]byte, error) {
	if n <= len(s.rest) {
		out := s.rest[:n:n]
		s.rest = s.rest[n:]
		return out, nil
	}
	out := append(make([]byte, 0, n), s.rest...)
	for len(out) < n {
		data, next, err := s.r.metaBlock(s.next)
		if err != nil {
			return nil, err
		}
		if len(data) == 0 {
			return nil, corrupt("empty metadata block before %d", next)
		}
		k := min(n-len(out), len(data))
		out = append(out, data[:k]...)
		s.rest, s.next = data[k:], next
	}
	return out, nil
}

type entry struct {
	data []byte
	next int64
}

// A cache keeps expanded blocks by position and drops the oldest.
type cache struct {
	mu    sync.Mutex
	max   int
	slots map[int64]*slot
	order []int64
}

type slot struct {
	once sync.Once
	e    entry
	err  error
}

func newCache(limit int) *cache { return &cache{max: limit, slots: make(map[int64]*slot)} }

func (c *cache) get(pos int64, load func() (entry, error)) (entry, error) {
	c.mu.Lock()
	s := c.slots[pos]
	if s == nil {
		s = new(slot)
		if len(c.order) == c.max {
			delete(c.slots, c.order[0])
			c.order = c.order[1:]
		}
		c.slots[pos] = s
		c.order = append(c.order, pos)
	}
	c.mu.Unlock()
	s.once.Do(func() { s.e, s.err = load() })
	return s.e, s.err
}
