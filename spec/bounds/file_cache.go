package bounds

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// A Cache holds the files that hooks bring, each read once, however many
// machines it is for. It may be used by several goroutines at once.
type Cache struct {
	mu   sync.Mutex
	read map[string]File
	size int
}

// A File of the config repo.
type File struct {
	Content []byte // never written to
	Mode    fs.FileMode
	Err     error
}

// Open returns a file, which is read once.
func (c *Cache) Open(fsys fs.FS, name string) File {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read == nil {
		c.read = map[string]File{}
	}
	file, ok := c.read[name]
	if !ok {
		file = readCached(fsys, name, MaxFiles-c.size)
		c.size += len(file.Content)
		c.read[name] = file
	}
	return file
}

func readCached(fsys fs.FS, name string, left int) (file File) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return File{Err: err}
	}
	file.Mode = info.Mode()
	file.Content, file.Err = ReadFile(fsys, name, min(MaxFile, left))
	if left < MaxFile && errors.As(file.Err, new(TooLargeError)) {
		file.Err = fmt.Errorf("the files of hooks are larger than %d MiB in all; put them into an image", MaxFiles>>20)
	}
	return file
}
