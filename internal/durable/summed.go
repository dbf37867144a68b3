package durable

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrDoubtful is returned for a file that is not as WriteSummed wrote it.
var ErrDoubtful = errors.New("it is not what was written")

// WriteSummed publishes data below a line with its sha256: for what is remembered and
// can be found out again, so that no disk makes something else of it.
func WriteSummed(path string, data []byte, perm fs.FileMode) error {
	return WriteFile(path, fmt.Appendf(nil, "%s\n%s", sum(data), data), perm)
}

// ReadSummed returns what WriteSummed has written.
func ReadSummed(path string) ([]byte, error) {
	all, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	want, data, _ := bytes.Cut(all, []byte("\n"))
	if string(want) != sum(data) {
		return nil, fmt.Errorf("read %s: %w", path, ErrDoubtful)
	}
	return data, nil
}

func sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
