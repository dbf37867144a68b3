package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// A fileCache holds the files that hooks bring, each read once, however many
// machines it is for. It may be used by several goroutines at once.
type fileCache struct {
	mu   sync.Mutex
	read map[string]repoFile
	size int
}

type repoFile struct {
	content []byte // never written to
	mode    fs.FileMode
	err     error
}

func (c *fileCache) open(fsys fs.FS, name string) repoFile {
	c.mu.Lock()
	defer c.mu.Unlock()
	file, ok := c.read[name]
	if !ok {
		file = readRepoFile(fsys, name, maxFiles-c.size)
		c.size += len(file.content)
		c.read[name] = file
	}
	return file
}

func readRepoFile(fsys fs.FS, name string, left int) (file repoFile) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return repoFile{err: err}
	}
	file.mode = info.Mode()
	file.content, file.err = readFile(fsys, name, min(maxFile, left))
	if left < maxFile && errors.As(file.err, new(tooLargeError)) {
		file.err = fmt.Errorf("the files of hooks are larger than %d MiB in all; put them into an image", maxFiles>>20)
	}
	return file
}
