package readymade

import (
	"context"
	"hash/maphash"
	"io"
	"os"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/rootfs"
)

const (
	// worthRepacking is how much is missing at least where blocks are packed anew.
	worthRepacking = 1 << 20
	// maxEnds is of how many files ends are looked for, in mostOlder files, and
	// maxRepacked how many bytes of content are packed.
	maxEnds, mostOlder, maxRepacked = 1 << 18, 4, 256 << 20
)

// repacked fetches the object's tables, and returns a joiner for the rest. The tables say
// which ends of files are in a block that is missing: where older objects have files of the
// same names and lengths, it may only be that these ends lie together otherwise than they
// did. Then the block is packed anew, as a patch's pieces are, into the file that is
// returned. Whether the content is the same is found out by that: the map says what a block
// has to be.
func (j *joiner) repacked(ctx context.Context, to *os.File, fetched io.Writer) (*joiner, *durable.File, error) {
	if lengthOf(j.missing) < worthRepacking {
		return j, nil, nil
	}
	object, rest, err := j.tables(ctx, to, fetched)
	if err != nil || object == nil {
		return rest, nil, err
	}
	before := lengthOf(rest.missing)
	packed, err := rest.repack(ctx, object)
	if ctx.Err() != nil {
		if packed != nil {
			packed.Discard()
		}
		return nil, nil, ctx.Err()
	}
	if err != nil {
		j.log.Debug("no blocks of files' ends are packed here", "error", err)
	}
	if packed == nil {
		return rest, nil, nil
	}
	with, err := rest.with(ctx, packed.Name())
	if err != nil {
		packed.Discard()
		return nil, nil, err
	}
	j.spared = before - lengthOf(with.missing)
	j.log.Debug("blocks of files' ends are packed here", "spared", j.spared)
	return with, packed, nil
}

// tables puts together what an object has besides files' content, and returns a reader for
// it, nil if it cannot be read, and a joiner for the rest.
func (j *joiner) tables(ctx context.Context, to *os.File, fetched io.Writer) (*rootfs.Reader, *joiner, error) {
	if err := j.but(func(i int) bool { return i > 0 }).merge(ctx, to, fetched); err != nil {
		return nil, nil, err
	}
	rest := j.but(func(i int) bool { return i == 0 })
	object, err := rootfs.New(to)
	if err != nil {
		return nil, rest, nil
	}
	first, off := 0, int64(0)
	for first < len(j.blocks) && off < object.Tables() {
		off += int64(j.blocks[first].Length)
		first++
	}
	if err := rest.but(func(i int) bool { return i < first }).merge(ctx, to, fetched); err != nil {
		return nil, nil, err
	}
	return object, rest.but(func(i int) bool { return i == 0 || i >= first }), nil
}

// repack packs blocks that are missing, nil if none is had of older files.
func (j *joiner) repack(ctx context.Context, object *rootfs.Reader) (*durable.File, error) {
	ends := ends{of: map[int64]map[int32]*end{}, named: map[uint64]*end{}, seed: maphash.MakeSeed()}
	if err := ends.want(ctx, object, j.wanted()); err != nil || len(ends.of) == 0 {
		return nil, err
	}
	older, closeAll, err := openAll(j.likely())
	if err != nil {
		return nil, err
	}
	defer closeAll()
	for _, r := range older {
		if err := ends.find(ctx, r); ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			j.log.Debug("an older object has no ends of files", "error", err)
		}
	}
	blocks, size := ends.blocks()
	if len(blocks) == 0 {
		return nil, nil
	}
	if err := j.stage.HasRoom(j.blocks.Size() + size + int64(len(blocks))*besideBlock + besidePieces); err != nil {
		return nil, err
	}
	f, err := durable.Create(j.stage.Temp(), 0o600)
	if err != nil {
		return nil, err
	}
	if err := pack(ctx, f.File, blocks); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// likely are the files that have most of the blocks.
func (j *joiner) likely() (paths []string) {
	has := make([]int, len(j.files))
	for _, at := range j.places {
		if at.File >= 0 {
			has[at.File]++
		}
	}
	for range mostOlder {
		most := 0
		for i := range has {
			if has[i] > has[most] {
				most = i
			}
		}
		if len(has) == 0 || has[most] == 0 {
			break
		}
		paths, has[most] = append(paths, j.files[most]), 0
	}
	return paths
}
