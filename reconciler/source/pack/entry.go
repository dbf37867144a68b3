package pack

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/pack/delta"
)

// A pack is a header (4 bytes "PACK", version 2, count), the entries, and the
// SHA-1 of all before it.
const (
	signature  = "PACK\x00\x00\x00\x02"
	headerLen  = len(signature) + 4
	trailerLen = 20
)

var errMalformed = delta.ErrMalformed

// A head begins an entry. The rest is its content, or difference, in zlib
// form; size is its length when it is inflated.
type head struct {
	kind plumbing.ObjectType
	size int64
	back int64         // of an OFSDeltaObject: how far before it its base begins
	base plumbing.Hash // of a REFDeltaObject
}

type byteReader interface {
	io.Reader
	io.ByteReader
}

func readHead(r byteReader) (h head, err error) {
	b, err := r.ReadByte()
	if err != nil {
		return h, err
	}
	h.kind = plumbing.ObjectType(b >> 4 & 7)
	h.size = int64(b & 15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = r.ReadByte(); err != nil {
			return h, err
		}
		if shift > 56 {
			return h, fmt.Errorf("%w: an object's size is none", errMalformed)
		}
		h.size |= int64(b&0x7f) << shift
	}
	switch h.kind {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
		return h, nil
	case plumbing.REFDeltaObject:
		_, err = io.ReadFull(r, h.base[:])
		return h, err
	case plumbing.OFSDeltaObject:
		h.back, err = readBack(r)
		return h, err
	}
	return h, fmt.Errorf("%w: objects of type %d do not exist", errMalformed, h.kind)
}

// readBack reads a distance, most significant bits first, each further byte
// counting from where the shorter numbers end.
func readBack(r io.ByteReader) (int64, error) {
	b, err := r.ReadByte()
	n := int64(b & 0x7f)
	for err == nil && b&0x80 != 0 {
		if n >= 1<<54 {
			return 0, fmt.Errorf("%w: a distance is none", errMalformed)
		}
		b, err = r.ReadByte()
		n = (n+1)<<7 | int64(b&0x7f)
	}
	return n, err
}

func (h head) append(to []byte) []byte {
	b := byte(h.kind)<<4 | byte(h.size&15)
	for size := h.size >> 4; size > 0; size >>= 7 {
		to = append(to, b|0x80)
		b = byte(size & 0x7f)
	}
	to = append(to, b)
	switch h.kind {
	case plumbing.REFDeltaObject:
		to = append(to, h.base[:]...)
	case plumbing.OFSDeltaObject:
		var tmp [10]byte
		at := len(tmp) - 1
		tmp[at] = byte(h.back & 0x7f)
		for n := h.back >> 7; n > 0; n >>= 7 {
			n--
			at--
			tmp[at] = byte(n&0x7f) | 0x80
		}
		to = append(to, tmp[at:]...)
	}
	return to
}

func appendHeader(to []byte, count uint32) []byte {
	return binary.BigEndian.AppendUint32(append(to, signature...), count)
}

// readHeader returns how many entries follow.
func readHeader(r io.Reader) (uint32, error) {
	var b [headerLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	if string(b[:len(signature)]) != signature {
		return 0, fmt.Errorf("%w: it does not begin as a pack of version 2", errMalformed)
	}
	return binary.BigEndian.Uint32(b[len(signature):]), nil
}
