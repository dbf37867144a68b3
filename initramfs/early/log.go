package early

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

const rateLimit = "/proc/sys/kernel/printk_devkmsg"

// A log writes to the kernel's log, which keeps messages for the running
// system and shows them on the consoles; before /dev/kmsg is there, to the
// standard error output, which is the console.
type log struct {
	mu    sync.Mutex
	file  *os.File
	limit []byte
}

// open begins to write to /dev/kmsg, without the limit of ten lines in five
// seconds that the kernel sets for programs.
func (l *log) open() {
	l.limit, _ = os.ReadFile(rateLimit)
	// a kernel without this setting only loses lines
	_ = os.WriteFile(rateLimit, []byte("on\n"), 0)
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		l.file = f
	}
}

// restore sets the limit back as it was.
func (l *log) restore() {
	if len(l.limit) > 0 {
		_ = os.WriteFile(rateLimit, l.limit, 0)
	}
}

func (l *log) error(format string, a ...any)  { l.write(3, format, a...) }
func (l *log) warn(format string, a ...any)   { l.write(4, format, a...) }
func (l *log) notice(format string, a ...any) { l.write(5, format, a...) }
func (l *log) info(format string, a ...any)   { l.write(6, format, a...) }
func (l *log) debug(format string, a ...any)  { l.write(7, format, a...) }

// write logs each line of a message. Where to tell it if that fails is
// nowhere.
func (l *log) write(level int, format string, a ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.SplitSeq(fmt.Sprintf(format, a...), "\n") {
		if l.file == nil {
			fmt.Fprintf(os.Stderr, "gitboot-init: %s\n", line)
			continue
		}
		// one write is one message, of about 1,000 bytes at most
		fmt.Fprintf(l.file, "<%d>gitboot-init: %.900s\n", level, line)
	}
}
