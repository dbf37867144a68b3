package pack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// A stored pack is one on disk, with its index in memory.
type stored struct {
	f       *os.File
	end     int64 // of the last entry
	fan     [fanout]uint32
	names   []byte
	offsets []byte
	far     []byte
	starts  []int64 // of all entries, sorted; made when it is needed
}

func openStored(indexPath string) (*stored, error) {
	index, err := readIndex(indexPath)
	if err != nil {
		return nil, err
	}
	p := &stored{}
	if err := p.parse(index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", indexPath, err)
	}
	f, info, err := openFile(strings.TrimSuffix(indexPath, ".idx") + ".pack")
	if err != nil {
		return nil, err
	}
	p.f, p.end = f, info.Size()-trailerLen
	return p, nil
}

func (p *stored) parse(index []byte) error {
	body, ok := bytes.CutPrefix(index, []byte(indexHeader))
	if !ok || len(body) < fanout*4+2*trailerLen {
		return fmt.Errorf("it is no index of version 2; run git repack -ad in that repo")
	}
	last := uint32(0)
	for i := range p.fan {
		p.fan[i] = binary.BigEndian.Uint32(body[i*4:])
		if p.fan[i] < last {
			return fmt.Errorf("it is damaged")
		}
		last = p.fan[i]
	}
	body = body[fanout*4 : len(body)-2*trailerLen]
	n := int(last)
	if len(body)/28 < n {
		return fmt.Errorf("it is cut short")
	}
	p.names, body = body[:n*20], body[n*24:]
	p.offsets, p.far = body[:n*4], body[n*4:]
	return nil
}

func (p *stored) count() int { return len(p.names) / 20 }

// offset returns where the i-th name's entry begins, -1 if that is nowhere.
func (p *stored) offset(i int) int64 {
	at := int64(binary.BigEndian.Uint32(p.offsets[i*4:]))
	if at&farBit != 0 {
		k := int(at&^farBit) * 8
		if k+8 > len(p.far) {
			return -1
		}
		at = int64(binary.BigEndian.Uint64(p.far[k:]))
	}
	if at < int64(headerLen) || at >= p.end {
		return -1
	}
	return at
}

func (p *stored) find(name plumbing.Hash) (at int64, ok bool) {
	lo, hi := 0, int(p.fan[name[0]])
	if name[0] > 0 {
		lo = int(p.fan[name[0]-1])
	}
	i, ok := sort.Find(hi-lo, func(i int) int { return bytes.Compare(name[:], p.names[(lo+i)*20:(lo+i+1)*20]) })
	if !ok {
		return 0, false
	}
	at = p.offset(lo + i)
	return at, at >= 0
}

// next returns where the entry that begins at an offset ends.
func (p *stored) next(at int64) (int64, error) {
	if p.starts == nil {
		p.starts = make([]int64, 0, p.count())
		for i := range p.count() {
			p.starts = append(p.starts, p.offset(i))
		}
		slices.Sort(p.starts)
	}
	i, ok := slices.BinarySearch(p.starts, at)
	if !ok {
		return 0, fmt.Errorf("%w: no entry begins at %d of %s", errMalformed, at, p.f.Name())
	}
	for ; i < len(p.starts); i++ {
		if p.starts[i] > at {
			return p.starts[i], nil
		}
	}
	return p.end, nil
}

func (p *stored) section(from, to int64) *io.SectionReader {
	return io.NewSectionReader(p.f, from, to-from)
}

// base returns where a difference's base begins, which is in the same pack.
func (p *stored) base(at int64, h head) (int64, error) {
	from, ok := at-h.back, true
	if h.kind == plumbing.REFDeltaObject {
		from, ok = p.find(h.base)
	}
	if !ok || from < int64(headerLen) || from >= p.end || from == at {
		return 0, fmt.Errorf("%w: %s lacks the base of a difference", errMalformed, p.f.Name())
	}
	return from, nil
}
