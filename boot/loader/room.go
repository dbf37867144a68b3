package loader

import (
	"fmt"
	"syscall"

	"github.com/gitboot/gitboot/internal/progress"
)

// A NoRoomError says that the kernels and initramfs of a menu do not fit where
// the boot loader reads them.
type NoRoomError struct {
	Dir string
	// Need is what has to be copied, Free what can be written without touching
	// what is kept free there for others; in bytes.
	Need, Free int64
}

func (e *NoRoomError) Error() string {
	return fmt.Sprintf("%s has too little room for the kernels and initramfs that the boot loader must find there: %s needed, %s free, %s missing; "+
		"declare a smaller keep, remove what else is there, or enlarge its file system",
		e.Dir, progress.Bytes(e.Need), progress.Bytes(e.Free), progress.Bytes(max(e.Need-e.Free, 1)))
}

// Unwrap makes errors.Is(err, syscall.ENOSPC) true.
func (e *NoRoomError) Unwrap() error { return syscall.ENOSPC }
