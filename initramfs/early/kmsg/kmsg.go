// Package kmsg writes to the kernel's log and reads its end.
package kmsg

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// File is the kernel's log (Documentation/ABI/testing/dev-kmsg).
const File = "/dev/kmsg"

// Levels of messages.
const (
	Error = 3 + iota
	Warning
	Notice
	Info
	Debug
)

// Write logs each line of a message, as a program's. One write is one message,
// of about 1,000 bytes at most.
func Write(w io.Writer, level int, program, message string) {
	for line := range strings.SplitSeq(message, "\n") {
		fmt.Fprintf(w, "<%d>%s: %.900s\n", level, program, line)
	}
}

// Tail returns the last whole lines of the kernel's log in file, at most so many bytes
// of them, as dmesg(1) shows them. Of those before it keeps, up to an eighth,
// what the programs say whose names begin with own.
func Tail(file string, most int, own string) (string, error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("reading the kernel's log: %w", err)
	}
	defer unix.Close(fd)
	lines, err := read(func(buf []byte) (int, error) { return unix.Read(fd, buf) })
	return end(lines, most, own), err
}

// read reads all records there are.
func read(next func([]byte) (int, error)) (lines []string, err error) {
	buf := make([]byte, 8<<10) // CONSOLE_EXT_LOG_MAX
	for {
		n, err := next(buf)
		switch {
		case err == unix.EPIPE || err == unix.EINTR: // overwritten meanwhile
		case err == unix.EAGAIN || err == nil && n == 0:
			return lines, nil
		case err != nil:
			return lines, fmt.Errorf("reading the kernel's log: %w", err)
		default:
			if line, ok := format(buf[:n]); ok {
				lines = append(lines, line)
			}
		}
	}
}

// format makes "[    1.234567] text" of "6,123,1234567,-;text\n KEY=value\n".
func format(record []byte) (string, bool) {
	prefix, text, ok := bytes.Cut(record, []byte(";"))
	fields := strings.Split(string(prefix), ",")
	if !ok || len(fields) < 3 {
		return "", false
	}
	micros, err := strconv.ParseUint(fields[2], 10, 64)
	if err != nil {
		return "", false
	}
	text, _, _ = bytes.Cut(text, []byte("\n"))
	return fmt.Sprintf("[%5d.%06d] %s\n", micros/1e6, micros%1e6, text), true
}

// end keeps the last lines, and some of ours before them.
func end(lines []string, most int, own string) string {
	first, left := len(lines), most-most/8
	for first > 0 && len(lines[first-1]) <= left {
		first--
		left -= len(lines[first])
	}
	var ours []string
	left = most / 8
	for i := first - 1; i >= 0; i-- {
		_, text, _ := strings.Cut(lines[i], "] ")
		if strings.HasPrefix(text, own) && len(lines[i]) <= left {
			ours = append(ours, lines[i])
			left -= len(lines[i])
		}
	}
	var out strings.Builder
	for i := len(ours) - 1; i >= 0; i-- {
		out.WriteString(ours[i])
	}
	for _, line := range lines[first:] {
		out.WriteString(line)
	}
	return out.String()
}

// A Logger writes as one program.
type Logger struct {
	file    *os.File
	program string
}

// Open opens the log for a program; without one, what is said is lost.
func Open(program string) *Logger {
	f, _ := os.OpenFile(File, os.O_WRONLY, 0)
	return &Logger{f, program}
}

// Say logs a message.
func (l *Logger) Say(level int, format string, a ...any) {
	if l.file != nil {
		Write(l.file, level, l.program, fmt.Sprintf(format, a...))
	}
}
