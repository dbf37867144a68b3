package ext4

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/disk/tree"
)

// A layer is files that are being put into a file system that was made.
type layer struct {
	tree.Filesystem
	// empty is it without what files hold.
	empty   *os.File
	disk    *piece.List
	offset  int64
	extents map[string][]extent
}

// journal is the journal's inode, as debugfs names those.
const journal = "<8>"

// An extent is blocks of a file that lie side by side.
type extent struct{ logical, physical, length int64 }

// small is how large a file may be that debugfs copies, which takes less than to have it
// say where each is and to copy there. GRUB's are, which are hundreds.
const small = 256 << 10

func isSmall(f tree.File) bool { return f.Source != "" && f.Size <= small }

// layOut makes folders and files, and finds out where their blocks are. Those of
// fallocate hold nothing yet, and are then said to.
func (l *layer) layOut(ctx context.Context) error {
	var script strings.Builder
	for _, f := range l.AllFolders() {
		fmt.Fprintf(&script, "mkdir %[1]s\nset_inode_field %[1]s mode 04%04[2]o\n", quoted(f.Path), f.Mode.Perm())
	}
	for _, f := range l.Files {
		if strings.ContainsAny(f.Path+f.Source, "\n\r") {
			return fmt.Errorf("the path %q has a line end", f.Path)
		}
		from := "/dev/null"
		if isSmall(f) {
			from = f.Source
		}
		fmt.Fprintf(&script, "write %[1]s %[2]s\nset_inode_field %[2]s mode 010%04[3]o\n", quoted(from), quoted(f.Path), f.Mode.Perm())
		if n := f.Blocks(); n > 0 && !isSmall(f) {
			fmt.Fprintf(&script, "fallocate %[1]s 0 %[2]d\nset_inode_field %[1]s size %[3]d\nex %[1]s\n", quoted(f.Path), n-1, f.Bytes())
		}
	}
	fmt.Fprintf(&script, "ex %s\n", journal)
	out, err := l.debugfs(ctx, script.String())
	if err != nil {
		return err
	}
	if l.extents, err = parse(out); err != nil {
		return err
	}
	script.Reset()
	for _, f := range l.Files {
		if f.Blocks() == 0 || isSmall(f) {
			continue
		}
		fmt.Fprintf(&script, "extent_open %s\n", quoted(f.Path))
		for _, e := range l.extents[f.Path] {
			fmt.Fprintf(&script, "goto_block %[1]d\nreplace_node %[1]d %[3]d %[2]d\n", e.logical, e.physical, e.length)
		}
		script.WriteString("extent_close\n")
	}
	_, err = l.debugfs(ctx, script.String())
	return err
}

// quoted writes one word for debugfs (its library ss).
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func unquoted(s string) string {
	if len(s) < 2 || s[0] != '"' {
		return s
	}
	return strings.ReplaceAll(s[1:len(s)-1], `""`, `"`)
}

// debugfs runs a script. What goes wrong in one is on standard error alone.
func (l *layer) debugfs(ctx context.Context, script string) (string, error) {
	if script == "" {
		return "", nil
	}
	out, complaints, err := tool.Run(ctx, l.Time, script, "debugfs", "-w", "-f", "/dev/stdin", scratch.Path(l.empty))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(complaints) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "debugfs 1.") {
			return "", fmt.Errorf("debugfs: %.200s", line)
		}
	}
	return out, nil
}

// listed is a line of ex: level, entry, logical and physical blocks, length.
var listed = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\s*(\d+)/\s*(\d+)\s+\d+/\s*\d+\s+(\d+)\s*-\s*(\d+)\s+(\d+)(?:\s*-\s*\d+\s+\d+)?`)
})

// parse reads what a script's ex commands print, which debugfs repeats before it.
func parse(out string) (map[string][]extent, error) {
	all, current := map[string][]extent{}, ""
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		line := lines.Text()
		if command, ok := strings.CutPrefix(line, "debugfs: "); ok {
			current = ""
			if name, ok := strings.CutPrefix(command, "ex "); ok {
				current = unquoted(name)
			}
			continue
		}
		m := listed().FindStringSubmatch(line)
		if current == "" || m == nil || m[1] != m[2] { // of the leaves alone
			continue
		}
		var n [3]int64
		for i := range n {
			var err error
			if n[i], err = strconv.ParseInt(m[3+i], 10, 64); err != nil {
				return nil, err
			}
		}
		all[current] = append(all[current], extent{logical: n[0], physical: n[2], length: n[1] - n[0] + 1})
	}
	return all, lines.Err()
}

// place adds what files hold, and where nothing may be.
func (l *layer) place() error {
	for _, e := range l.extents[journal] {
		skip := max(0, 1-e.logical) // the first block says that it is empty
		l.disk.Zeros(l.offset+(e.physical+skip)*blockSize, (e.length-skip)*blockSize)
	}
	for _, f := range l.Files {
		if isSmall(f) {
			continue
		}
		left := f.Bytes()
		for _, e := range l.extents[f.Path] {
			n, from, to := min(left, e.length*blockSize), e.logical*blockSize, l.offset+e.physical*blockSize
			if f.Source != "" {
				l.disk.File(to, f.Source, from, n)
			} else {
				l.disk.Text(to, f.Text[from:from+n])
			}
			left -= n
		}
		if left > 0 {
			return fmt.Errorf("put %s onto the disk: there are too few blocks for it", f.Path)
		}
	}
	return nil
}
