package kernel

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// maxKernel is more than any kernel has, unpacked.
const maxKernel = 512 << 20

var errLarge = errors.New("it holds more than a kernel does; take another image")

// unpacked is a kernel as firmwares and boot loaders start it. Those of arm64 do not
// unpack themselves, and distributions pack them by gzip, which not every boot loader
// reads.
func unpacked(file io.Reader) (io.Reader, error) {
	r := bufio.NewReader(file)
	if head, err := r.Peek(2); err != nil || !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return r, nil // whoever reads it meets the error again
	}
	packed, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	return &bounded{packed, maxKernel}, nil
}

// A bounded reader fails where there is more.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errLarge
	}
	return n, err
}
