package pack

import (
	"bufio"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
)

// maxObjects bounds the memory that a pack takes while it is received: about
// 100 bytes for each object.
const maxObjects = 8 << 20

// Received describes a pack that was written to a file.
type Received struct {
	Sum     plumbing.Hash // of the pack, which names it
	Index   []byte        // what its .idx file holds
	Objects int
}

// An object is one entry of a pack that is being received.
type object struct {
	name   plumbing.Hash // zero until it is known
	at     int64
	size   int64 // inflated, of the content or difference
	crc    uint32
	kind   plumbing.ObjectType
	parent int32 // the base of an OFSDeltaObject
}

// Receive reads a pack to its end and writes it into f, an empty file. Each
// object's name is computed from its content; a pack that lacks the base of a
// difference is refused.
func Receive(ctx context.Context, r io.Reader, f *os.File) (Received, error) {
	in := &incoming{ctx: ctx, r: r, f: f, sum: sha1.New()}
	objects, refs, err := in.scan()
	if err != nil {
		return Received{}, cutShort(err)
	}
	sum, err := in.finish()
	if err != nil {
		return Received{}, cutShort(err)
	}
	if err := resolve(ctx, f, objects, refs); err != nil {
		return Received{}, err
	}
	if err := addChecksums(ctx, f, objects, in.total-trailerLen); err != nil {
		return Received{}, err
	}
	index, err := encodeIndex(objects, sum)
	return Received{Sum: sum, Index: index, Objects: len(objects)}, err
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut short", errMalformed)
	}
	return err
}

// An incoming pack is written to a file as it is read. Its own sum covers all
// but the last bytes, which are that sum.
type incoming struct {
	ctx   context.Context
	r     io.Reader
	f     *os.File
	buf   *bufio.Reader
	total int64 // written
	sum   hash.Hash
	tail  []byte // the last bytes, not yet in sum
}

func (in *incoming) Read(p []byte) (int, error) {
	if err := in.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := in.r.Read(p)
	if _, err := in.f.Write(p[:n]); err != nil {
		return 0, err
	}
	in.total += int64(n)
	in.tail = append(in.tail, p[:n]...)
	if more := len(in.tail) - trailerLen; more > 0 {
		in.sum.Write(in.tail[:more])
		in.tail = append(in.tail[:0], in.tail[more:]...)
	}
	return n, err
}

// scan reads all entries. The names of those that are no differences are known
// then; refs are the differences whose base is named.
func (in *incoming) scan() (objects []object, refs map[plumbing.Hash][]int32, err error) {
	in.buf = bufio.NewReaderSize(in, 64<<10)
	count, err := readHeader(in.buf)
	if err != nil {
		return nil, nil, err
	}
	if count > maxObjects {
		return nil, nil, fmt.Errorf("it has %d objects, of which at most %d are taken", count, maxObjects)
	}
	names := newNamer()
	x := newInflater()
	refs = map[plumbing.Hash][]int32{}
	for i := range count {
		o := object{at: in.total - int64(in.buf.Buffered()), parent: -1}
		h, err := readHead(in.buf)
		if err != nil {
			return nil, nil, err
		}
		o.kind, o.size = h.kind, h.size
		var content io.Writer = io.Discard
		switch h.kind {
		case plumbing.OFSDeltaObject:
			if o.parent = search(objects, o.at-h.back); o.parent < 0 {
				return nil, nil, fmt.Errorf("%w: a difference names a base where none is", errMalformed)
			}
		case plumbing.REFDeltaObject:
			refs[h.base] = append(refs[h.base], int32(i))
		default:
			names.begin(h.kind, h.size)
			content = names
		}
		if err := x.copy(content, in.buf, h.size); err != nil {
			return nil, nil, err
		}
		if !h.kind.IsDelta() {
			o.name = names.name()
		}
		objects = append(objects, o)
	}
	return objects, refs, nil
}

// finish reads the end and compares the sum.
func (in *incoming) finish() (sum plumbing.Hash, err error) {
	var rest [trailerLen + 1]byte
	n, err := io.ReadFull(in.buf, rest[:])
	if err == nil {
		return sum, fmt.Errorf("%w: more follows its end", errMalformed)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) || n != trailerLen {
		return sum, err
	}
	copy(sum[:], in.sum.Sum(nil))
	if string(rest[:trailerLen]) != string(sum[:]) {
		return sum, fmt.Errorf("%w: it was damaged on the way", errMalformed)
	}
	return sum, nil
}

// search finds the entry that begins at an offset.
func search(objects []object, at int64) int32 {
	lo, hi := 0, len(objects)
	for lo < hi {
		if mid := (lo + hi) / 2; objects[mid].at < at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(objects) || objects[lo].at != at {
		return -1
	}
	return int32(lo)
}

// addChecksums computes each entry's, which the index holds.
func addChecksums(ctx context.Context, f *os.File, objects []object, end int64) error {
	r := bufio.NewReaderSize(io.NewSectionReader(f, 0, end), 256<<10)
	if _, err := r.Discard(headerLen); err != nil && len(objects) > 0 {
		return err
	}
	for i := range objects {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := end
		if i+1 < len(objects) {
			next = objects[i+1].at
		}
		crc := crc32.NewIEEE()
		if _, err := io.CopyN(crc, r, next-objects[i].at); err != nil {
			return err
		}
		objects[i].crc = crc.Sum32()
	}
	return nil
}
