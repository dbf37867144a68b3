package squash

import (
	"context"
	"io"
	"strings"

	"github.com/gitboot/gitboot/internal/progress"
)

// A Tar is a layer to be added.
type Tar struct {
	// DiffID is the digest of the uncompressed tar, "sha256:<hex>".
	DiffID string
	// Name says in progress and errors what the layer belongs to.
	Name string
	// Blob is the digest that Open's reader verifies the layer's stored form
	// against before its io.EOF. Empty if it verifies nothing: then the tar
	// is hashed here and must be DiffID.
	Blob string
	// Size is the length of the uncompressed tar in bytes, 0 if unknown.
	Size int64
	// Largest is how much the layer may hold, in bytes; 0 means tarfs's default.
	Largest int64
	// Open gives the uncompressed tar. It may be called several times. Reading
	// must end with an error when ctx ends, and never with io.EOF before
	// all that is to be verified has been.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Again says of an error of Open's, or Made's, that somebody gave other bytes, and that
	// others are asked first from then on; nil of none.
	Again func(error) bool
	// Made is what somebody else has made of the layer, nil if nobody has. What
	// cannot be had of it is made here.
	Made *Made
	// Partial is a cheaper way to the tar than Open, nil if there is none.
	Partial *Partial
	// Readable, if it is set, is called once when the squashfs is complete at
	// path: of a new layer before it is hashed, synced and named. Whoever
	// wants to read it opens it before returning: the path may not last.
	Readable func(path string)
	Progress progress.Sink
}

// A Partial puts a layer's tar together out of files that are here, and of what is fetched
// besides.
type Partial struct {
	// Fetch is how many bytes are fetched, and Room how much may lie beside what becomes
	// of the layer.
	Fetch, Room int64
	// Open gives the tar as Tar.Open does, but nothing has verified it. It says
	// *DearerError where Tar.Open is found to be the cheaper way.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// A DearerError says that a layer comes sooner whole.
type DearerError struct {
	// Spent is how many bytes were fetched in vain to find that out.
	Spent int64
}

func (e *DearerError) Error() string { return "it comes sooner whole" }

// String names the layer in messages.
func (src Tar) String() string {
	short := src.DiffID
	if len(short) > 19 {
		short = short[:19]
	}
	return strings.TrimSpace(src.Name + " " + short)
}
