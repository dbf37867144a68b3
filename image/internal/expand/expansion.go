package expand

import (
	"cmp"
	"fmt"
	"io"

	"github.com/gitboot/gitboot/internal/progress"
)

// An Expansion bounds what comes out of a compressed layer. Zero fields mean
// the defaults.
type Expansion struct {
	// Size is how many bytes a layer may have (16 GB).
	Size int64
	// Declared says that Size is what the image is known to need: then it alone
	// counts, and not how small the layer is when compressed.
	Declared bool

	// File is the length of the archive that holds the layers, 0 if none does:
	// nothing in it is stored as more.
	File int64
}

const (
	// defaultExpansion is more than a desktop with all its programs in one layer.
	defaultExpansion = 16e9
	// maxRatio is many times what programs and their data give (3 to 5); of
	// zeros, gzip makes a thousandth. Below freeExpansion nobody counts.
	maxRatio      = 100
	freeExpansion = 500e6
)

// Bound gives how many bytes may come out of a blob of stored bytes, 0 if it is
// not known how many they are.
func (e Expansion) Bound(stored int64) int64 {
	size := cmp.Or(e.Size, defaultExpansion)
	if e.File > 0 && (stored <= 0 || stored > e.File) {
		stored = e.File
	}
	if e.Declared || stored <= 0 || stored > size/maxRatio {
		return size
	}
	return min(size, freeExpansion+maxRatio*stored)
}

// An ExpansionError says that more came out of a layer than may.
type ExpansionError struct {
	What          string
	Stored, Bound int64
}

func (e *ExpansionError) Error() string {
	what := e.What
	if e.Stored > 0 {
		what += fmt.Sprintf(", stored as %s,", progress.Bytes(e.Stored))
	}
	return fmt.Sprintf("%s holds more than %s, so it was stopped; if that is meant, say how much the image's largest layer holds: layer_size = \"30GB\" for this image, or layer_size in agent.toml for all",
		what, progress.Bytes(e.Bound))
}

// An expanding reader ends in an *ExpansionError instead of going on.
type expanding struct {
	io.ReadCloser
	left int64
	err  *ExpansionError
}

// Open decompresses a stored tar and strips it, within the bounds: stripping fills
// the holes of sparse files.
func (e Expansion) Open(r io.Reader, allowed Diet, strip int, what string, stored int64) (io.ReadCloser, error) {
	d, err := Decompress(r, allowed)
	if err != nil {
		return nil, err
	}
	in := e.expand(d, what, stored)
	if strip == 0 {
		return in, nil
	}
	return e.expand(stripped(in, strip), what, stored), nil
}

func (e Expansion) expand(r io.ReadCloser, what string, stored int64) io.ReadCloser {
	bound := e.Bound(stored)
	return &expanding{r, bound, &ExpansionError{what, cmp.Or(stored, e.File), bound}}
}

func (x *expanding) Read(p []byte) (int, error) {
	n, err := x.ReadCloser.Read(p)
	if x.left -= int64(n); x.left < 0 {
		return 0, x.err
	}
	return n, err
}
