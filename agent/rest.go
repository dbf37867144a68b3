package agent

import (
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
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, part := range unwritten(string(maps), program) {
		// Of a mapping of a file that was never written to, this takes away nothing
		// that the file has not.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, part.start, part.length, syscall.MADV_DONTNEED)
	}
}

// A part is one of a program in memory.
type part struct{ start, length uintptr }

// unwritten finds in the text of /proc/PID/smaps (proc_pid_smaps(5)) the parts of a file
// that can only be read, or executed, and of which no page was written before that was
// so, as those are into which a program is linked when it starts.
func unwritten(smaps, file string) (parts []part) {
	var now part
	for line := range strings.Lines(smaps) {
		line = strings.TrimSpace(line)
		var start, end uintptr
		var rights string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &start, &end, &rights); n == 3 {
			now = part{}
			if end > start && strings.HasSuffix(line, " "+file) && (rights == "r-xp" || rights == "r--p") {
				now = part{start, end - start}
			}
		}
		if written, ok := strings.CutPrefix(line, "Anonymous:"); ok && now.length > 0 && strings.Fields(written)[0] == "0" {
			parts = append(parts, now)
		}
	}
	return parts
}
