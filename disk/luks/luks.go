// Package luks reads what stands at the head of an encrypted disk, and finds the key
// of its data by a passphrase. It is linked into the program that is loaded at every
// boot.
//
// The formats are those of "LUKS1 On-Disk Format Specification" (version 1.2.3) and
// "LUKS2 On-Disk Format Specification" (version 1.1.3). Nothing is written, and nothing
// is decrypted but the areas of key slots: the data is the kernel's (dm-crypt).
//
// What a disk says is trusted in nothing: sizes, offsets and numbers are bounded before
// they are used. How long a key takes to be derived cannot be known from here, so that
// who asks gives a context.
package luks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Header is what a disk says of how it is encrypted.
type Header struct {
	Version int // 1 or 2
	UUID    string
	Data    Segment
	Tokens  []Token
	slots   []slot
}

// A Segment is where the data lies and how it is encrypted.
type Segment struct {
	// Offset and Size are in bytes; a Size of 0 is all that follows.
	Offset, Size int64
	// Tweak is the number of the first sector, as the cipher counts them.
	Tweak uint64
	// Cipher is as dm-crypt takes it, such as aes-xts-plain64.
	Cipher string
	// Sector is how many bytes are encrypted at a time.
	Sector int
	// Options are those of dm-crypt that whoever formatted the disk had kept.
	Options []string
}

// A Token says how the passphrase of some key slots is found.
type Token struct {
	Type  string
	Slots []string
	// JSON is all of it.
	JSON []byte
}

// A Slot is one that is tried with every passphrase.
type Slot struct {
	Name string
	// Memory is what deriving its key takes, in bytes.
	Memory int64
}

// Slots are those, in the order in which they are tried.
func (h *Header) Slots() (out []Slot) {
	for _, s := range h.slots {
		if s.priority > 0 {
			out = append(out, Slot{s.name, s.kdf.memoryNeeded()})
		}
	}
	return out
}

// A slot holds the key, encrypted by one passphrase.
type slot struct {
	name     string
	priority int
	keySize  int
	kdf      kdf
	area     area
	stripes  int
	afHash   string
	digest   digest
}

// An area is where a slot's material lies, and how that is encrypted.
type area struct {
	offset  int64
	size    int64 // 0: as much as the material takes
	cipher  string
	keySize int
}

// A digest tells whether a key is the one.
type digest struct {
	hash       string
	iterations int
	salt, sum  []byte
}

// Bounds of what a header may say.
const (
	maxKey     = 512
	maxStripes = 4000
	maxSalt    = 512
	maxOffset  = 1 << 50
)

// ErrNoHeader says that there is no header.
var ErrNoHeader = errors.New("it is not encrypted with LUKS, or its header is damaged beyond repair")

var (
	magic      = []byte("LUKS\xba\xbe")
	magicOther = []byte("SKUL\xba\xbe")
	be         = binary.BigEndian
)

// Read reads the header at the beginning of a disk. Of LUKS2's two the newer whole one
// counts.
func Read(disk io.ReaderAt) (*Header, error) {
	head := make([]byte, 8)
	if _, err := disk.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("reading the LUKS header: %w", err)
	}
	var h *Header
	var err error
	if bytes.Equal(head[:6], magic) && be.Uint16(head[6:]) == 1 {
		h, err = readOld(disk)
	} else {
		h, err = readNew(disk)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the LUKS header: %w", err)
	}
	return h, nil
}

// check refuses what no disk that can be opened here says.
func (h *Header) check() error {
	switch {
	case !isUUID(h.UUID):
		return fmt.Errorf("%.64q is no UUID", h.UUID)
	case h.Data.Offset < 0 || h.Data.Offset > maxOffset || h.Data.Offset%512 != 0 || h.Data.Size < 0 || h.Data.Size%512 != 0:
		return fmt.Errorf("its data is at %d with %d bytes", h.Data.Offset, h.Data.Size)
	case !slices.Contains([]int{512, 1024, 2048, 4096}, h.Data.Sector):
		return fmt.Errorf("its sectors have %d bytes", h.Data.Sector)
	}
	if err := checkCipher(h.Data.Cipher); err != nil {
		return err
	}
	for _, s := range h.slots {
		if err := s.check(); err != nil {
			return fmt.Errorf("key slot %s: %w", s.name, err)
		}
	}
	return nil
}

func (s *slot) check() error {
	material := int64(s.keySize) * int64(s.stripes)
	switch {
	case s.keySize < 1 || s.keySize > maxKey || s.area.keySize < 1 || s.area.keySize > maxKey:
		return fmt.Errorf("a key of %d bytes", s.keySize)
	case s.stripes < 1 || s.stripes > maxStripes:
		return fmt.Errorf("a key in %d stripes", s.stripes)
	case s.area.offset < 512 || s.area.offset > maxOffset || s.area.size != 0 && s.area.size < material:
		return fmt.Errorf("%d bytes at %d do not hold it", s.area.size, s.area.offset)
	case len(s.digest.sum) < 16 || len(s.digest.sum) > 64 || len(s.digest.salt) > maxSalt || s.digest.iterations < 1:
		return errors.New("its digest is none")
	}
	return s.kdf.check()
}

// checkCipher accepts the data's, which the kernel is handed as it stands.
func checkCipher(cipher string) error {
	known := []string{"aes-xts-plain64", "aes-xts-plain", "aes-cbc-essiv:sha256", "aes-cbc-plain64", "aes-cbc-plain"}
	if slices.Contains(known, cipher) {
		return nil
	}
	return fmt.Errorf("its data is encrypted by %.64q, and known are %s", cipher, strings.Join(known, ", "))
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return false
		}
	}
	return true
}

// text is a string in a field of a fixed length.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b)
}
