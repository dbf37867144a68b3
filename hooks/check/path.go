package check

import (
	"fmt"
	"path"
	"strings"
)

// Limits of Linux: NAME_MAX and PATH_MAX without its final zero.
const (
	MaxName = 255
	MaxPath = 4095
)

// WrongPath returns what is wrong with the path of a file that a layer is to
// carry and a machine to have, or "".
func WrongPath(p string) string {
	switch {
	case !strings.HasPrefix(p, "/"):
		return "is not an absolute path"
	case path.Clean(p) != p:
		return fmt.Sprintf("is not a clean path; that would be %.300q", path.Clean(p))
	case p == "/":
		return "is the root folder"
	case len(p) > MaxPath:
		return fmt.Sprintf("is longer than the %d bytes that Linux allows", MaxPath)
	case strings.ContainsRune(p, 0):
		return "has a zero byte in it"
	}
	for name := range strings.SplitSeq(p[1:], "/") {
		if strings.HasPrefix(name, ".wh.") {
			return "has a name that begins with .wh., which layers use to delete files"
		}
		if len(name) > MaxName {
			return fmt.Sprintf("has a name of %d bytes, and Linux allows %d", len(name), MaxName)
		}
	}
	return ""
}

// WrongTarget returns what is wrong with the target of a symbolic link, or "".
func WrongTarget(target string) string {
	switch {
	case target == "":
		return "is empty"
	case len(target) > MaxPath || strings.ContainsRune(target, 0):
		return "is no target that a file system can hold"
	}
	return ""
}
