package pack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/pack/delta"
)

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

// Receive reads a pack to its end and writes it into f, an empty file, as is
// scratch, which holds large objects for a while. Each object's name is
// computed from its content; a pack that lacks the base of a difference is
// refused. The tip is judged as soon as it is there; nil = none is asked for.
func Receive(ctx context.Context, r io.Reader, f, scratch *os.File, tip *Tip) (Received, error) {
	in := &incoming{ctx: ctx, r: r, f: f, sum: sha1.New(), tip: tip}
	if err := in.scan(); err != nil {
		return Received{}, cutShort(err)
	}
	sum, err := in.finish()
	if err != nil {
		return Received{}, cutShort(err)
	}
	x := &resolver{ctx: ctx, f: f, scratch: delta.Regions{File: scratch}, objects: in.objects, refs: in.refs, tip: tip,
		meter: &in.meter, inflater: newInflater(&in.meter), buf: newBuffer(), names: newNamer()}
	if err := x.resolve(); err != nil {
		return Received{}, err
	}
	if err := addChecksums(ctx, f, in.objects, in.meter.from-trailerLen); err != nil {
		return Received{}, err
	}
	index, err := encodeIndex(in.objects, sum)
	return Received{Sum: sum, Index: index, Objects: len(in.objects)}, err
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
	sum   hash.Hash
	tail  []byte // the last bytes, not yet in sum
	tip   *Tip
	meter meter // from: what is written

	objects []object
	refs    []ref // the differences whose base is named
	commit  bytes.Buffer
}

func (in *incoming) Read(p []byte) (int, error) {
	if err := in.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := in.r.Read(p)
	if _, err := in.f.Write(p[:n]); err != nil {
		return 0, err
	}
	in.meter.from += int64(n)
	in.tail = append(in.tail, p[:n]...)
	if more := len(in.tail) - trailerLen; more > 0 {
		in.sum.Write(in.tail[:more])
		in.tail = append(in.tail[:0], in.tail[more:]...)
	}
	return n, err
}

// scan reads all entries. The names of those that are no differences are known
// then.
func (in *incoming) scan() error {
	in.buf = bufio.NewReaderSize(in, 64<<10)
	count, err := readHeader(in.buf)
	if err != nil {
		return err
	}
	if count > maxObjects {
		return fmt.Errorf("it says that it has %d objects, of which at most %d are taken; keep the config repo apart from what is that large", count, maxObjects)
	}
	names, x := newNamer(), newInflater(&in.meter)
	for range count {
		if err := in.entry(names, x); err != nil {
			return err
		}
	}
	return nil
}

func (in *incoming) entry(names *namer, x *inflater) error {
	o := object{at: in.meter.from - int64(in.buf.Buffered()), parent: -1}
	h, err := readHead(in.buf)
	if err != nil {
		return err
	}
	o.kind, o.size = h.kind, h.size
	var content io.Writer = io.Discard
	switch h.kind {
	case plumbing.OFSDeltaObject:
		if o.parent = search(in.objects, o.at-h.back); o.parent < 0 {
			return fmt.Errorf("%w: a difference names a base where none is", errMalformed)
		}
	case plumbing.REFDeltaObject:
		in.refs = append(in.refs, ref{h.base, int32(len(in.objects))})
	default:
		if err := fits(h.kind, h.size); err != nil {
			return err
		}
		names.begin(h.kind, h.size)
		in.commit.Reset()
		if content = names; in.tip.missing() && h.kind == in.tip.Kind() {
			content = io.MultiWriter(names, &in.commit)
		}
	}
	if h.kind.IsDelta() && h.size > maxPatched {
		return fitsPatched(plumbing.BlobObject, h.size)
	}
	if err := x.copy(content, in.buf, h.size); err != nil {
		return err
	}
	if !h.kind.IsDelta() {
		o.name = names.name()
		if err := in.tip.meet(o.name, h.kind, in.commit.Bytes()); err != nil {
			return err
		}
	}
	in.objects = append(in.objects, o)
	return nil
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
