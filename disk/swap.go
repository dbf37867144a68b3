package disk

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// page is the size of the pages of what can boot here.
const page = 4096

// writeSwap writes the header of swap space (mkswap(8); union swap_header in
// include/linux/swap.h).
func writeSwap(disk io.WriterAt, offset, length int64, uuid, label string) error {
	id, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(id) != 16 {
		return fmt.Errorf("%.40q is no UUID", uuid)
	}
	h := make([]byte, page)
	const info = 1024
	binary.LittleEndian.PutUint32(h[info:], 1)
	binary.LittleEndian.PutUint32(h[info+4:], uint32(min(length/page-1, 0xffffffff)))
	copy(h[info+12:], id)
	copy(h[info+28:info+44], label)
	copy(h[page-10:], "SWAPSPACE2")
	_, err = disk.WriteAt(h, offset)
	return err
}
