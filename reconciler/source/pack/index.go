package pack

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"encoding/binary"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// An index is of version 2: a header, how many names begin with at most each
// byte, the sorted names, the entries' checksums, their offsets (those from
// 2 GiB are in a table of their own), and the sums of the pack and of itself.
const (
	indexHeader = "\xfftOc\x00\x00\x00\x02"
	fanout      = 256
	farBit      = 1 << 31
)

func encodeIndex(objects []object, sum plumbing.Hash) ([]byte, error) {
	order := make([]int32, len(objects))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(bytes.Compare(objects[a].name[:], objects[b].name[:]), cmp.Compare(a, b))
	})
	out := make([]byte, 0, len(indexHeader)+fanout*4+len(objects)*28+40)
	out = append(out, indexHeader...)
	counts := [fanout]uint32{}
	for _, o := range objects {
		counts[o.name[0]]++
	}
	total := uint32(0)
	for _, n := range counts {
		total += n
		out = binary.BigEndian.AppendUint32(out, total)
	}
	for _, i := range order {
		out = append(out, objects[i].name[:]...)
	}
	for _, i := range order {
		out = binary.BigEndian.AppendUint32(out, objects[i].crc)
	}
	var far []byte
	for _, i := range order {
		at := objects[i].at
		if at >= farBit {
			far = binary.BigEndian.AppendUint64(far, uint64(at))
			at = farBit | int64(len(far)/8-1)
		}
		out = binary.BigEndian.AppendUint32(out, uint32(at))
	}
	out = append(append(out, far...), sum[:]...)
	own := sha1.Sum(out)
	return append(out, own[:]...), nil
}
