package engine

import (
	"fmt"
	"regexp"
	"sync"

	"golang.org/x/sys/unix"
)

// A FullError says that a build failed because there was no room, as far as
// can be told from what the engine or a step has said.
type FullError struct {
	Dir         string // of the engine
	Free, Total uint64 // bytes of its file system, now that the build has ended
	Err         error
}

func (e *FullError) Error() string {
	return fmt.Sprintf("%v\nno room was left for the build; the file system of %s has %d MB, of which %d MB are free now that it has ended: make room there, lower cache_size, or set build_dir to a larger disk",
		e.Err, e.Dir, e.Total/1e6, e.Free/1e6)
}

func (e *FullError) Unwrap() error { return e.Err }

var noSpace = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)no space left on device|disk quota exceeded`) })

// ExplainFull says what to do about an error of an engine in dir that a full disk
// has caused.
func ExplainFull(dir string, err error) error {
	if err == nil || !noSpace().MatchString(err.Error()) {
		return err
	}
	full := &FullError{Dir: dir, Err: err}
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) == nil {
		full.Free, full.Total = st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize)
	}
	return full
}
