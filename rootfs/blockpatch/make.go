package blockpatch

import (
	"bufio"
	"context"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/rootfs"
)

// maxWindow is how far back a frame looks: over all of a step.
const maxWindow = 16 << 20

// Make writes a patch that makes blocks of a new file, those that are wanted, by the
// offset at which they lie, out of older files, the lowest first if they lie upon each
// other. Which blocks come of it where it is packed is for the caller to find out, by
// applying it. done is told how many bytes of blocks are behind it.
func Make(ctx context.Context, to io.Writer, file *rootfs.Reader, older []*rootfs.Reader, wanted func(off int64) bool, done func(bytes int64)) error {
	units, err := planned(file, older, wanted)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(to)
	if _, err := out.WriteString(header); err != nil {
		return err
	}
	// As many are made side by side as there are processors, and written in order.
	atOnce := runtime.GOMAXPROCS(0)
	makers, ready := make([]maker, atOnce), make([]step, atOnce)
	for i := range makers {
		makers[i] = maker{file: file, older: older}
	}
	for len(units) > 0 {
		group, ctx := errgroup.WithContext(ctx)
		n := min(atOnce, len(units))
		for i, u := range units[:n] {
			group.Go(func() (err error) {
				if err := ctx.Err(); err != nil {
					return err
				}
				ready[i], err = makers[i].encode(u)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for _, s := range ready[:n] {
			if _, err := out.Write(s.append(nil)); err != nil {
				return err
			}
		}
		for _, u := range units[:n] {
			done(u.stored())
		}
		units = units[n:]
	}
	if err := out.WriteByte(0); err != nil {
		return err
	}
	return out.Flush()
}

// A maker makes one step after the other.
type maker struct {
	file  *rootfs.Reader
	older []*rootfs.Reader
	enc   *zstd.Encoder
	dict  []byte
}

func (m *maker) encode(u unit) (s step, err error) {
	if m.dict, err = expand(m.dict[:0], u.older, m.older); err != nil {
		return s, err
	}
	s.older = u.older
	var content []byte
	for _, b := range u.blocks {
		data, err := m.file.Expand(b)
		if err != nil {
			return s, err
		}
		s.length = append(s.length, int32(len(data)))
		content = append(content, data...)
	}
	dict := zstd.WithEncoderDictRaw(dictID, m.dict)
	if m.enc == nil {
		m.enc, err = zstd.NewWriter(nil, dict, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow), zstd.WithEncoderCRC(false), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	} else {
		err = m.enc.ResetWithOptions(nil, dict)
	}
	if err != nil {
		return s, err
	}
	s.frame = m.enc.EncodeAll(content, nil)
	return s, nil
}
