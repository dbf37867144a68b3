package lab

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Opens counts how often the files of folders are opened, by whatever process.
type Opens struct {
	fd   int
	dirs map[int]string
}

// CountOpens counts from now on. Of what lies deeper in a folder nothing is counted.
func CountOpens(dirs ...string) (*Opens, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	o := &Opens{fd, map[int]string{}}
	for _, dir := range dirs {
		wd, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("watch %s: %w", dir, err), o.Close())
		}
		o.dirs[wd] = dir
	}
	return o, nil
}

// Take returns how often which file was opened since it was called last, by its path.
func (o *Opens) Take() (map[string]int, error) {
	count, buf := map[string]int{}, make([]byte, 1<<16)
	for {
		n, err := unix.Read(o.fd, buf)
		if errors.Is(err, unix.EAGAIN) {
			return count, nil
		}
		if err != nil {
			return nil, err
		}
		for rest := buf[:n]; len(rest) > 0; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
			name, left := rest[unix.SizeofInotifyEvent:][:e.Len], rest[unix.SizeofInotifyEvent+e.Len:]
			if e.Mask&unix.IN_Q_OVERFLOW != 0 {
				return nil, errors.New("more was opened than could be counted")
			}
			if name, _, _ := bytes.Cut(name, []byte{0}); e.Mask&unix.IN_ISDIR == 0 {
				count[filepath.Join(o.dirs[int(e.Wd)], string(name))]++
			}
			rest = left
		}
	}
}

// Close counts no more.
func (o *Opens) Close() error { return unix.Close(o.fd) }
