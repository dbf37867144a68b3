package check

import (
	"bytes"
	"strings"
)

// WrongScript returns what keeps the kernel from executing a script, or "".
func WrongScript(content []byte) string {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	switch {
	case bytes.HasPrefix(content, []byte("\x7fELF")):
		return ""
	case !bytes.HasPrefix(content, []byte("#!")):
		return "doesn't say what runs it"
	case bytes.HasSuffix(line, []byte("\r")):
		return "has a carriage return at the end of its #! line"
	case !strings.HasPrefix(Interpreter(content), "/"):
		return "has a #! line without the absolute path of a program"
	}
	return ""
}

// Interpreter returns the program that a script's first line names.
func Interpreter(content []byte) string {
	line, _, _ := strings.Cut(string(content), "\n")
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
