package disk

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// page is the size of the pages of what can boot here.
const page = 4096

// swapHeader is what swap space begins with (mkswap(8); union swap_header in
// include/linux/swap.h).
func swapHeader(length int64, uuid, label string) ([]byte, error) {
	id, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(id) != 16 {
		return nil, fmt.Errorf("%.40q is no UUID", uuid)
	}
	h := make([]byte, page)
	const info = 1024
	binary.LittleEndian.PutUint32(h[info:], 1)
	binary.LittleEndian.PutUint32(h[info+4:], uint32(min(length/page-1, 0xffffffff)))
	copy(h[info+12:], id)
	copy(h[info+28:info+44], label)
	copy(h[page-10:], "SWAPSPACE2")
	return h, nil
}
