package luks

import (
	"fmt"
	"io"
	"strconv"
)

// Of LUKS1's header (its specification, 2.1).
const (
	oldSize     = 592
	oldSlots    = 8
	oldSlotAt   = 208
	oldSlotSize = 48
	oldEnabled  = 0x00ac71f3
)

// readOld reads LUKS1's.
func readOld(disk io.ReaderAt) (*Header, error) {
	b := make([]byte, oldSize)
	if _, err := disk.ReadAt(b, 0); err != nil {
		return nil, err
	}
	cipher, hash, keySize := text(b[8:40])+"-"+text(b[40:72]), text(b[72:104]), int(be.Uint32(b[108:]))
	h := &Header{Version: 1, UUID: text(b[168:208]), Data: Segment{Offset: int64(be.Uint32(b[104:])) * 512, Cipher: cipher, Sector: 512}}
	sum := digest{hash: hash, sum: b[112:132], salt: b[132:164], iterations: int(be.Uint32(b[164:]))}
	for n := range oldSlots {
		s := b[oldSlotAt+n*oldSlotSize:]
		if be.Uint32(s) != oldEnabled {
			continue
		}
		h.slots = append(h.slots, slot{
			name: strconv.Itoa(n), priority: 1, keySize: keySize, stripes: int(be.Uint32(s[44:])), afHash: hash, digest: sum,
			kdf:  kdf{kind: "pbkdf2", hash: hash, iterations: int(be.Uint32(s[4:])), salt: s[8:40]},
			area: area{offset: int64(be.Uint32(s[40:])) * 512, cipher: cipher, keySize: keySize},
		})
	}
	if h.Data.Offset == 0 {
		return nil, fmt.Errorf("its header lies on another disk, and none is looked for there")
	}
	return h, h.check()
}
