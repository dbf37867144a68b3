package early

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/initramfs/early/kmsg"
)

const (
	rateLimit = "/proc/sys/kernel/printk_devkmsg"
	program   = "gitboot-init"
)

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
	if f, err := os.OpenFile(kmsg.File, os.O_WRONLY, 0); err == nil {
		l.file = f
	}
}

// restore sets the limit back as it was.
func (l *log) restore() {
	if len(l.limit) > 0 {
		_ = os.WriteFile(rateLimit, l.limit, 0)
	}
}

func (l *log) error(format string, a ...any)  { l.write(kmsg.Error, format, a...) }
func (l *log) warn(format string, a ...any)   { l.write(kmsg.Warning, format, a...) }
func (l *log) notice(format string, a ...any) { l.write(kmsg.Notice, format, a...) }
func (l *log) info(format string, a ...any)   { l.write(kmsg.Info, format, a...) }
func (l *log) debug(format string, a ...any)  { l.write(kmsg.Debug, format, a...) }

// write logs each line of a message. Where to tell it if that fails is
// nowhere.
func (l *log) write(level int, format string, a ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	message := fmt.Sprintf(format, a...)
	if l.file != nil {
		kmsg.Write(l.file, level, program, message)
		return
	}
	for line := range strings.SplitSeq(message, "\n") {
		fmt.Fprintf(os.Stderr, "%s: %s\n", program, line)
	}
}
