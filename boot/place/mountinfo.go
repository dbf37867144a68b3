package place

import (
	"fmt"
	"strconv"
	"strings"
)

// A mount is one line of proc_pid_mountinfo(5).
type mount struct {
	id     uint64
	device string // major:minor
	root   string // of the mount within its file system
	point  string
	fstype string
	source string
}

// findMount returns the mount with the id or, if that is 0, the one that path
// lookup ends in: of the longest matching mount points the last.
func findMount(mountinfo, dir string, id uint64) (mount, error) {
	var found mount
	for line := range strings.Lines(mountinfo) {
		m, err := parseMount(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return mount{}, err
		}
		if id != 0 && m.id == id {
			return m, nil
		}
		if id == 0 && within(dir, m.point) && len(m.point) >= len(found.point) {
			found = m
		}
	}
	if found.point == "" {
		return mount{}, fmt.Errorf("no mount in mountinfo holds %s", dir)
	}
	return found, nil
}

func within(dir, point string) bool {
	return point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
}

func parseMount(line string) (mount, error) {
	before, after, ok := strings.Cut(line, " - ")
	a, b := strings.Split(before, " "), strings.Split(after, " ")
	if !ok || len(a) < 6 || len(b) < 2 {
		return mount{}, fmt.Errorf("cannot read line %q of mountinfo", line)
	}
	id, err := strconv.ParseUint(a[0], 10, 64)
	if err != nil {
		return mount{}, fmt.Errorf("cannot read line %q of mountinfo: %w", line, err)
	}
	return mount{id: id, device: a[2], root: unoctal(a[3]), point: unoctal(a[4]), fstype: b[0], source: unoctal(b[1])}, nil
}

// unoctal undoes the kernel's escapes: a backslash and three octal digits.
func unoctal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
