package pack

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/klauspost/compress/zlib"
)

// Write writes a pack of the given objects. What is packed here is copied as
// it is, a difference where its base is copied, too; the rest is compressed
// quickly rather than well.
func (s *Store) Write(ctx context.Context, to io.Writer, objects []plumbing.Hash) error {
	out := newOutgoing(to)
	out.Write(appendHeader(nil, uint32(len(objects))))
	byPack := map[*stored][]entry{}
	for _, name := range objects {
		o, err := s.locate(name)
		if err != nil {
			return err
		}
		if o.file == nil {
			byPack[o.pack] = append(byPack[o.pack], entry{name: name, at: o.at})
			continue
		}
		if err := writeLoose(ctx, out, name, o); err != nil {
			return err
		}
	}
	for _, p := range s.packs {
		if err := s.writeFrom(ctx, out, p, byPack[p]); err != nil {
			return err
		}
	}
	return out.finish()
}

// An entry is one that is copied: where it is, and where it comes to be.
type entry struct {
	name   plumbing.Hash
	at, to int64
}

// writeFrom writes entries of one pack in the order in which they lie there,
// which puts a base before what is a difference from it.
func (s *Store) writeFrom(ctx context.Context, out *outgoing, p *stored, entries []entry) error {
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries[i].to = out.at
		h, length, err := s.head(p, entries[i].at)
		if err != nil {
			return err
		}
		ok := true
		if h.kind.IsDelta() {
			if h, ok, err = rebased(p, h, entries, i); err != nil {
				return err
			}
		}
		if !ok {
			err = s.writeWhole(out, p, entries[i].at)
		} else {
			err = s.copyRest(out, p, entries[i].at, length, h)
		}
		if err != nil {
			return fmt.Errorf("copying object %s: %w", entries[i].name, err)
		}
	}
	return nil
}

// rebased turns a difference into one from where its base comes to be, if it
// does.
func rebased(p *stored, h head, entries []entry, i int) (head, bool, error) {
	from, err := p.base(entries[i].at, h)
	if err != nil {
		return h, false, err
	}
	k, ok := slices.BinarySearchFunc(entries, from, func(e entry, at int64) int { return cmp.Compare(e.at, at) })
	if h.kind == plumbing.OFSDeltaObject && ok {
		if k >= i {
			return h, false, errMalformed
		}
		h.back = entries[i].to - entries[k].to
	}
	return h, ok, nil
}

// copyRest writes another head, and after it what follows the old one, which
// s.buf is behind.
func (s *Store) copyRest(out *outgoing, p *stored, at, length int64, h head) error {
	next, err := p.next(at)
	if err != nil {
		return err
	}
	out.Write(h.append(nil))
	_, err = io.CopyN(out, s.buf, next-at-length)
	return err
}

func (s *Store) writeWhole(out *outgoing, p *stored, at int64) error {
	c, err := s.unpack(p, at, plumbing.AnyObject)
	if err != nil {
		return err
	}
	return out.object(head{kind: c.kind, size: int64(len(c.data))}, bytes.NewReader(c.data))
}

// writeLoose writes one that has a file of its own, and closes that.
func writeLoose(ctx context.Context, out *outgoing, name plumbing.Hash, o located) error {
	defer o.file.Close()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := out.object(o.head, o.file); err != nil {
		return fmt.Errorf("copying object %s: %w", name, err)
	}
	return nil
}

// An outgoing pack is counted and summed up. Its first failed write is
// returned by finish, and by each further one.
type outgoing struct {
	w    *bufio.Writer
	at   int64
	sum  hash.Hash
	zlib *zlib.Writer
}

func newOutgoing(w io.Writer) *outgoing {
	z, err := zlib.NewWriterLevel(nil, zlib.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return &outgoing{w: bufio.NewWriterSize(w, 256<<10), sum: sha1.New(), zlib: z}
}

func (o *outgoing) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.sum.Write(p[:n])
	o.at += int64(n)
	return n, err
}

// object writes one that is no difference.
func (o *outgoing) object(h head, content io.Reader) error {
	o.Write(h.append(nil))
	o.zlib.Reset(o)
	n, err := io.Copy(o.zlib, content)
	if err == nil && n != h.size {
		err = fmt.Errorf("%w: it is not as long as it says", errMalformed)
	}
	if err != nil {
		return err
	}
	return o.zlib.Close()
}

func (o *outgoing) finish() error {
	if _, err := o.w.Write(o.sum.Sum(nil)); err != nil {
		return err
	}
	return o.w.Flush()
}
