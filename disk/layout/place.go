package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/internal/progress"
)

// A Placed is a partition on a disk of a known size.
type Placed struct {
	Partition
	// Start and Length are in bytes.
	Start, Length int64
	// Type and UUID are the table's, FSID is that of what is in it: a UUID, four
	// bytes in hex of an ESP, "" of nothing.
	Type, UUID, FSID string
}

// End is the first byte behind it.
func (p Placed) End() int64 { return p.Start + p.Length }

// A TooSmallError says that partitions do not fit onto a disk.
type TooSmallError struct{ Size, Need int64 }

func (e *TooSmallError) Error() string {
	return fmt.Sprintf("the partitions take %s at least, and the disk has %s", progress.Bytes(e.Need), progress.Bytes(e.Size))
}

// Place puts partitions onto a disk. The seed is what tells this machine's disk from
// others: UUIDs are made of it.
func Place(partitions []Partition, size int64, seed string) ([]Placed, error) {
	if need := Need(partitions); size < need {
		return nil, &TooSmallError{size, need}
	}
	free := size/mib*mib - 2*Table
	for _, p := range partitions {
		free -= ceil(p.complete().Size)
	}
	var placed []Placed
	left, start := free, int64(Table)
	for i, p := range partitions {
		full := p.complete()
		length := ceil(full.Size)
		if p.Share != 0 {
			length = free / 100 * int64(p.Share) / mib * mib
			left -= length
		}
		id := strconv.Itoa(i) + " " + p.Role
		placed = append(placed, Placed{Partition: full, Start: start, Length: length, Type: traits[p.Role].kind, UUID: uuid(seed, id+" partition"), FSID: fsID(seed, id, p.Role)})
		start += length
	}
	return fill(placed, left), nil
}

// fill gives what is left to the partition that takes it, and moves those behind.
func fill(placed []Placed, left int64) []Placed {
	moved := int64(0)
	for i := range placed {
		p := &placed[i]
		p.Start += moved
		if p.fills() {
			p.Length, moved = left, left
		}
	}
	return placed
}

// Need is what a disk must have at least for partitions.
func Need(partitions []Partition) int64 { return With(partitions, "", 0) }

// With is what a disk must have for partitions, if that of a role is to have so many
// bytes.
func With(partitions []Partition, role string, bytes int64) int64 {
	sizes, free, shares := int64(2*Table), int64(0), int64(0)
	for i, p := range partitions {
		full := p.complete()
		least := full.least()
		if p.Role == role {
			least = max(least, bytes)
		}
		if full.Size != 0 {
			sizes += ceil(full.Size)
			continue
		}
		if p.Share != 0 {
			shares++
		}
		free = max(free, ceil(least*100/int64(percent(partitions, i))))
	}
	return sizes + free + 100*shares*mib // for what is lost to whole MiB
}

// percent is how much of what is left a partition without a size takes.
func percent(partitions []Partition, i int) int {
	if share := partitions[i].Share; share != 0 {
		return share
	}
	rest := 100
	for _, p := range partitions {
		rest -= p.Share
	}
	return max(rest, 1)
}

func ceil(n int64) int64 { return (n + mib - 1) / mib * mib }

// Find returns the partition of a role, nil if there is none.
func Find(placed []Placed, role string) *Placed {
	for i := range placed {
		if placed[i].Role == role {
			return &placed[i]
		}
	}
	return nil
}

// GRUB is the role of the partition that has GRUB's folder, "" if none can: GRUB has to
// write there.
func GRUB(partitions []Partition) string {
	role := ""
	for _, p := range partitions {
		switch {
		case p.Role == Boot:
			return Boot
		case p.Role == Stage && p.Filesystem != Btrfs:
			role = Stage
		case p.Role == ESP && role == "":
			role = ESP
		}
	}
	return role
}

// Search is the UUID as boot loaders and kernels know it.
func (p Placed) Search() string {
	if p.Filesystem == FAT {
		return p.FSID[:4] + "-" + p.FSID[4:]
	}
	return p.FSID
}

// DiskUUID is that of the table.
func DiskUUID(seed string) string { return uuid(seed, "disk") }

func fsID(seed, id, role string) string {
	switch role {
	case BIOS:
		return ""
	case ESP:
		return strings.ToUpper(hex.EncodeToString(sum(seed, id)[:4]))
	}
	return uuid(seed, id+" file system")
}

func sum(seed, what string) []byte {
	s := sha256.Sum256([]byte("gitboot disk\x00" + seed + "\x00" + what))
	return s[:]
}

// uuid is of version 8 (RFC 9562): made of what somebody has chosen.
func uuid(seed, what string) string {
	b := sum(seed, what)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
