package agent

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
)

// rest gives back the memory that work took, when nothing is left to do: the heap's,
// and the pages of the program itself, most of which only its start and work need.
// What looking at the config repo needs of them comes back, from the page cache. It is
// only about how much memory this takes; where /proc does not tell, it takes more.
func rest() {
	debug.FreeOSMemory()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range bytes.Lines(maps) {
		if start, length, ok := unwritten(string(bytes.TrimSpace(line)), program); ok {
			// Of a mapping of a file that was never written to, this takes away nothing
			// that the file has not.
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, length, syscall.MADV_DONTNEED)
		}
	}
}

// unwritten reads a line of /proc/PID/maps (proc_pid_maps(5)), and reports whether it
// is about a part of a file that can only be read, or executed.
func unwritten(line, file string) (start, length uintptr, ok bool) {
	var end uintptr
	var rights string
	n, _ := fmt.Sscanf(line, "%x-%x %s", &start, &end, &rights)
	named := strings.HasSuffix(line, " "+file)
	return start, end - start, n == 3 && end > start && named && (rights == "r-xp" || rights == "r--p")
}
