package transport

import (
	"fmt"
	"io"
)

// What a server may say. Its refs are those of a repo with half a million
// branches and tags; its answer is how it finds out what we have.
const (
	maxRefs   = 32 << 20
	maxAnswer = 1 << 20
	maxWords  = 4 << 10 // of an error
	// maxChatter is reached by no server that is asked for no progress.
	maxChatter = 4 << 20
	// MaxFetch bounds what a server can fill the disk with.
	MaxFetch = 2 << 30
	// maxStream is that with what is said besides.
	maxStream = MaxFetch + MaxFetch/4
)

// A bounded stream ends in an error where it goes on longer than is honest.
type bounded struct {
	io.Reader
	io.Closer
	what        string
	limit, read int64
}

// expect begins to count anew.
func (b *bounded) expect(what string, limit int64) { b.what, b.limit, b.read = what, limit, 0 }

func (b *bounded) Read(p []byte) (int, error) {
	if b.read >= b.limit {
		return 0, &excessError{b.what, b.limit}
	}
	n, err := b.Reader.Read(p[:min(int64(len(p)), b.limit-b.read)])
	b.read += int64(n)
	return n, err
}

// A chatter is what a server says of its progress, which nobody reads.
type chatter struct{ read int64 }

func (c *chatter) Write(p []byte) (int, error) {
	if c.read += 1 + int64(len(p)); c.read > maxChatter {
		return 0, &excessError{"progress", maxChatter}
	}
	return len(p), nil
}

// An excessError says that a server sends without end.
type excessError struct {
	what  string
	limit int64
}

func (e *excessError) Error() string {
	return fmt.Sprintf("the server sends more than %d MiB as its %s", e.limit>>20, e.what)
}
