package pack

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxIndex bounds what is read of an index: that of 9 million objects.
const maxIndex = 256 << 20

// maxBorrowedList bounds the list of repos that a repo borrows from.
const maxBorrowedList = 1 << 20

// openFile opens one of a repo's files, which may be anybody's: what is no
// file could make the reader wait for ever.
func openFile(path string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func readIndex(path string) ([]byte, error) { return readFile(path, maxIndex) }

// readBorrowed reads the list of repos that a repo borrows from.
func readBorrowed(path string) ([]byte, error) { return readFile(path, maxBorrowedList) }

func readFile(path string, most int64) ([]byte, error) {
	f, info, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > most {
		return nil, fmt.Errorf("%s has %d KiB, of which at most %d are read", path, info.Size()>>10, most>>10)
	}
	return io.ReadAll(io.LimitReader(f, most))
}
