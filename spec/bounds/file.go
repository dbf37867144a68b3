package bounds

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// A TooLargeError says that a file of the config repo is larger than it may be.
type TooLargeError struct{ Most int }

func (e TooLargeError) Error() string {
	return fmt.Sprintf("it is larger than %d MiB; put it into an image", e.Most>>20)
}

// ReadFile reads a file of the config repo, up to a size.
func ReadFile(fsys fs.FS, name string, most int) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a folder")
	case info.Size() > int64(most):
		return nil, TooLargeError{Most: most}
	}
	data := make([]byte, info.Size())
	_, err = io.ReadFull(f, data)
	return data, err
}

// Reason takes the path out of a file system's error: the problem names it.
func Reason(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}
