package pack

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/pack/delta"
)

// maxBorrowed bounds how far repos borrow objects of one another, as in git.
const maxBorrowed = 5

// A Store gives the objects of a repo. It is used by one goroutine at a time,
// and ends with its context.
type Store struct {
	ctx      context.Context
	packs    []*stored
	opened   map[string]bool // the packs' indexes
	loose    []looseDir
	recent   recent
	meter    meter // from: the packs
	inflater *inflater
	buf      *bufio.Reader
	lent     map[plumbing.Hash][]byte // annotated tags
}

// Lend has the store give an annotated tag that lies elsewhere.
func (s *Store) Lend(tag []byte) {
	if s.lent == nil {
		s.lent = map[plumbing.Hash][]byte{}
	}
	s.lent[plumbing.ComputeHash(plumbing.TagObject, tag)] = tag
}

// Folders are those that objects are read from.
func (s *Store) Folders() (dirs []string) {
	for _, l := range s.loose {
		dirs = append(dirs, l.dir)
	}
	return dirs
}

// Packed is how large its packs are, in bytes.
func (s *Store) Packed() int64 { return s.meter.from }

// Close closes its files.
func (s *Store) Close() error {
	var errs []error
	for _, p := range s.packs {
		errs = append(errs, p.f.Close())
	}
	return errors.Join(errs...)
}

// Has reports whether an object was there when packs were looked for last.
func (s *Store) Has(name plumbing.Hash) bool {
	if p, _ := s.find(name); p != nil {
		return true
	}
	return slices.ContainsFunc(s.loose, func(l looseDir) bool { return l.has(name) })
}

// Find fails with plumbing.ErrObjectNotFound if an object is nowhere, nor in a pack that it
// has gone into since packs were looked for.
func (s *Store) Find(name plumbing.Hash) error {
	if s.Has(name) {
		return nil
	}
	_, err := s.Size(name)
	return err
}

func (s *Store) find(name plumbing.Hash) (*stored, int64) {
	for _, p := range s.packs {
		if at, ok := p.find(name); ok {
			return p, at
		}
	}
	return nil, 0
}

// A located object is in a pack, or has a file of its own, which was read as far as its
// content, as one that is lent has.
type located struct {
	pack *stored
	at   int64
	file io.ReadCloser // nil of one in a pack
	head head
}

// locate finds an object. One that is nowhere may have gone into a pack since packs were
// looked for, as git gc does it while somebody reads: they are looked for again.
func (s *Store) locate(name plumbing.Hash) (o located, err error) {
	if tag, ok := s.lent[name]; ok {
		o.file, o.head = io.NopCloser(bytes.NewReader(tag)), head{kind: plumbing.TagObject, size: int64(len(tag))}
		return o, nil
	}
	if o.pack, o.at = s.find(name); o.pack != nil {
		return o, nil
	}
	if o.file, o.head, err = s.openLoose(name); !errors.Is(err, plumbing.ErrObjectNotFound) {
		return o, err
	}
	for _, l := range s.loose {
		if err := s.openPacks(l.dir); err != nil {
			return o, err
		}
	}
	if o.pack, o.at = s.find(name); o.pack != nil {
		return o, nil
	}
	return o, err
}

// Read gives the content of an object that is to be of a type, which the
// caller does not change: nothing is put together of one that is of another.
// It is not compared with the name: what is written elsewhere is named anew by
// Receive. An object that is not there is a plumbing.ErrObjectNotFound.
func (s *Store) Read(name plumbing.Hash, want plumbing.ObjectType) ([]byte, error) {
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	o, err := s.locate(name)
	if err != nil {
		return nil, err
	}
	if o.file == nil {
		c, err := s.unpack(o.pack, o.at, want)
		return c.data, err
	}
	defer o.file.Close()
	h := o.head
	if err := cmp.Or(is(h.kind, want), fitsPatched(h.kind, h.size), s.meter.add(h.size)); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(o.file, h.size+1))
	if err == nil && int64(len(data)) != h.size {
		err = fmt.Errorf("%w: object %s is not as long as it says", errMalformed, name)
	}
	return data, err
}

// Renew has what is put together be counted anew, for who reads a few objects
// now and then rather than many at once.
func (s *Store) Renew() { s.meter.work = 0 }

// OpenBlob gives the content of a file: of a large one, if it is stored as it
// is, while it is read.
func (s *Store) OpenBlob(name plumbing.Hash) (io.Reader, int64, error) {
	p, at := s.find(name)
	if p != nil {
		h, length, err := s.head(p, at)
		if err != nil {
			return nil, 0, err
		}
		if h.kind == plumbing.BlobObject && h.size > maxRecent/4 {
			own := newInflater(&meter{from: p.end})
			r, err := own.stream(bufio.NewReaderSize(p.section(at+length, p.end), 32<<10), h.size)
			return r, h.size, err
		}
	}
	data, err := s.Read(name, plumbing.BlobObject)
	return bytes.NewReader(data), int64(len(data)), err
}

// Size gives an object's.
func (s *Store) Size(name plumbing.Hash) (int64, error) {
	o, err := s.locate(name)
	if err != nil {
		return 0, err
	}
	if o.file == nil {
		return s.sizeAt(o.pack, o.at)
	}
	return o.head.size, o.file.Close()
}

func (s *Store) sizeAt(p *stored, at int64) (int64, error) {
	h, _, err := s.head(p, at)
	if err != nil || !h.kind.IsDelta() {
		return h.size, err
	}
	// a difference begins with two sizes, of at most ten bytes each
	r, err := s.inflater.stream(s.buf, h.size)
	if err != nil {
		return 0, err
	}
	begin := make([]byte, min(h.size, 20))
	_, err = io.ReadFull(r, begin)
	return delta.Size(begin), err
}

// maxSmall is the size below which an object is read in memory, whatever it is
// made from. maxShrink is how much larger than a larger object that may be.
const (
	maxSmall  = 64 << 20
	maxShrink = 4
)

// roomFor refuses to read an object by way of one that is much larger.
func (s *Store) roomFor(size int64, p *stored, wanted int64) error {
	if size <= maxSmall {
		return nil
	}
	own, err := s.sizeAt(p, wanted)
	if err == nil && size > maxSmall+maxShrink*own {
		err = fmt.Errorf("an object of %s is stored as a difference from one of %s; keep what is large out of the config repo, and name it by URL and sha256", bytesOf(own), bytesOf(size))
	}
	return err
}

func is(kind, want plumbing.ObjectType) error {
	if want != plumbing.AnyObject && kind != want {
		return fmt.Errorf("it is a %s, not a %s", kind, want)
	}
	return nil
}

// unpack puts an entry together: from its base, by way of all differences.
func (s *Store) unpack(p *stored, at int64, want plumbing.ObjectType) (unpacked, error) {
	var chain []int64
	wanted := at
	c, ok := s.recent.get(p, at)
	for !ok {
		h, _, err := s.head(p, at)
		if err != nil {
			return unpacked{}, err
		}
		if !h.kind.IsDelta() {
			if err := cmp.Or(is(h.kind, want), fitsPatched(h.kind, h.size)); err != nil {
				return unpacked{}, err
			}
			data, err := s.inflated(p, at, wanted, h.size)
			if err != nil {
				return unpacked{}, err
			}
			c = unpacked{h.kind, data}
			s.recent.put(p, at, c)
			break
		}
		if chain = append(chain, at); len(chain) > maxChain {
			return unpacked{}, fmt.Errorf("%w: more than %d differences follow one another", errMalformed, maxChain)
		}
		if at, err = p.base(at, h); err != nil {
			return unpacked{}, err
		}
		c, ok = s.recent.get(p, at)
	}
	if err := is(c.kind, want); err != nil {
		return unpacked{}, err
	}
	for _, at := range slices.Backward(chain) {
		if err := s.ctx.Err(); err != nil {
			return unpacked{}, err
		}
		h, _, err := s.head(p, at)
		if err != nil {
			return unpacked{}, err
		}
		if err := fitsPatched(c.kind, h.size); err != nil {
			return unpacked{}, err
		}
		difference, err := s.inflated(p, at, wanted, h.size)
		if err != nil {
			return unpacked{}, err
		}
		if err := cmp.Or(s.roomFor(delta.Size(difference), p, wanted), fitsPatched(c.kind, delta.Size(difference)), s.meter.add(delta.Size(difference))); err != nil {
			return unpacked{}, err
		}
		if c.data, err = delta.Patch(c.data, difference); err != nil {
			return unpacked{}, err
		}
		s.recent.put(p, at, c)
	}
	return c, nil
}

// inflated reads what an entry deflates, whose head was read just now.
func (s *Store) inflated(p *stored, at, wanted, size int64) ([]byte, error) {
	if size > maxSmall {
		if err := s.roomFor(size, p, wanted); err != nil {
			return nil, err
		}
		if _, _, err := s.head(p, at); err != nil {
			return nil, err
		}
	}
	return s.inflater.bytes(s.buf, size)
}

func newBuffer() *bufio.Reader { return bufio.NewReaderSize(nil, 4<<10) }

// head reads an entry's, and leaves s.buf behind it.
func (s *Store) head(p *stored, at int64) (h head, length int64, err error) {
	if err := s.meter.add(openWork); err != nil {
		return h, 0, err
	}
	section := p.section(at, p.end)
	s.buf.Reset(section)
	if h, err = readHead(s.buf); err != nil {
		return h, 0, err
	}
	read, err := section.Seek(0, io.SeekCurrent)
	return h, read - int64(s.buf.Buffered()), err
}

// An unpacked object is in memory.
type unpacked struct {
	kind plumbing.ObjectType
	data []byte
}

// recent keeps what was read last, as bases of what is read next, in two
// generations: when the young one is full it becomes the old one.
type recent struct {
	young, old map[place]unpacked
	size       int
}

type place struct {
	p  *stored
	at int64
}

const (
	maxRecent = 4 << 20 // bytes of a generation
	// recentCost is what an object counts for besides its content: of small ones few
	// are kept, as a difference is from one of the last.
	recentCost = 2 << 10
)

func (r *recent) get(p *stored, at int64) (unpacked, bool) {
	key := place{p, at}
	if c, ok := r.young[key]; ok {
		return c, true
	}
	c, ok := r.old[key]
	return c, ok
}

func (r *recent) put(p *stored, at int64, c unpacked) {
	if len(c.data) > maxRecent/4 {
		return
	}
	if r.young == nil || r.size > maxRecent {
		r.old, r.young, r.size = r.young, map[place]unpacked{}, 0
	}
	r.young[place{p, at}] = c
	r.size += len(c.data) + recentCost
}
