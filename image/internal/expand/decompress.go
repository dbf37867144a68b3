// Package expand turns what is stored into the tar that it holds, within
// bounds: decompressed, stripped, and read ahead.
package expand

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// A Diet is what a stream's maker may ask of its decoder.
type Diet struct {
	window int64
	xz     bool // not among the OCI's media types
}

const (
	// maxLayerWindow bounds what a registry can make a zstd decoder allocate.
	// zstd's levels up to 20 and every image builder stay within it.
	maxLayerWindow = 32 << 20
	// maxFileWindow is what zstd itself decodes without --long; archives are
	// chosen by whoever writes the config.
	maxFileWindow = 128 << 20
)

func LayerDiet() Diet { return Diet{window: maxLayerWindow} }
func FileDiet() Diet  { return Diet{window: maxFileWindow, xz: true} }

// Decompress tells by its first bytes how a stream is compressed. What has no
// known magic number is passed on as it is. Closing the result leaves r open.
func Decompress(r io.Reader, allowed Diet) (io.ReadCloser, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch c := compression(head); {
	case c == gzipped:
		return gzip.NewReader(br)
	case c == zstandard:
		return newZstd(br, allowed.window)
	case c == xzipped && allowed.xz:
		x, err := xz.NewReader(br)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(x), nil
	case c != plain:
		return nil, &untrusted.UnsupportedError{What: "the stream", Reason: "it is compressed with " + string(c), Remedy: "compress it with zstd or gzip"}
	}
	return io.NopCloser(br), nil
}

// A codec is how a stream is compressed.
type codec string

const (
	plain     codec = ""
	gzipped   codec = "gzip"
	zstandard codec = "zstd"
	xzipped   codec = "xz"
	bzipped   codec = "bzip2"
)

// compression tells a codec by its magic number. Zstandard has one for frames
// and sixteen for skippable frames (RFC 8878, 3.1).
func compression(head []byte) codec {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}),
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		return zstandard
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return xzipped
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzipped
	}
	return plain
}

type zstdReader struct{ *zstd.Decoder }

func newZstd(r io.Reader, maxWindow int64) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(uint64(maxWindow)))
	if err != nil {
		return nil, err
	}
	return zstdReader{d}, nil
}

func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = &untrusted.UnsupportedError{What: "the zstd stream", Reason: fmt.Sprintf("it needs too much memory to decode (%v)", err), Remedy: "compress it without --long and --ultra"}
	}
	return n, err
}

func (z zstdReader) Close() error {
	z.Decoder.Close()
	return nil
}

// Compressed tells by a stream's first bytes whether it is.
func Compressed(head []byte) bool { return compression(head) != plain }
