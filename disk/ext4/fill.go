package ext4

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/internal/ctxio"
)

// A layer is files that are being put into a file system that was made.
type layer struct {
	Filesystem
	// empty is it without what files hold, image where it comes to be.
	empty, image *os.File
	offset       int64
	extents      map[string][]extent
}

// An extent is blocks of a file that lie side by side.
type extent struct{ logical, physical, length int64 }

// layOut makes folders and files, and finds out where their blocks are. Those of
// fallocate hold nothing yet, and are then said to.
func (l *layer) layOut(ctx context.Context) error {
	var script strings.Builder
	for _, f := range l.folders() {
		fmt.Fprintf(&script, "mkdir %[1]s\nset_inode_field %[1]s mode 04%04[2]o\n", quoted(f.Path), f.Mode.Perm())
	}
	for _, f := range l.Files {
		if strings.ContainsAny(f.Path, "\n\r") {
			return fmt.Errorf("the path %q has a line end", f.Path)
		}
		fmt.Fprintf(&script, "write /dev/null %[1]s\nset_inode_field %[1]s mode 010%04[2]o\n", quoted(f.Path), f.Mode.Perm())
		if n := f.blocks(); n > 0 {
			fmt.Fprintf(&script, "fallocate %[1]s 0 %[2]d\nset_inode_field %[1]s size %[3]d\nex %[1]s\n", quoted(f.Path), n-1, f.size())
		}
	}
	out, err := l.debugfs(ctx, script.String())
	if err != nil {
		return err
	}
	if l.extents, err = parse(out); err != nil {
		return err
	}
	script.Reset()
	for _, f := range l.Files {
		if f.blocks() == 0 {
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

// fill copies what files are made of to where their blocks are.
func (l *layer) fill(ctx context.Context, copied func(int64)) error {
	for _, f := range l.Files {
		if err := l.file(ctx, f, copied); err != nil {
			return fmt.Errorf("put %s onto the disk: %w", f.Path, err)
		}
	}
	return nil
}

func (l *layer) file(ctx context.Context, f File, copied func(int64)) error {
	var from io.ReaderAt = bytes.NewReader(f.Text)
	if f.Source != "" {
		source, err := os.Open(f.Source)
		if err != nil {
			return err
		}
		defer source.Close()
		from = source
	}
	left := f.size()
	for _, e := range l.extents[f.Path] {
		n := min(left, e.length*blockSize)
		if err := l.copy(ctx, from, e, n); err != nil {
			return err
		}
		copied(n)
		left -= n
	}
	if left > 0 {
		return errors.New("there are too few blocks for it")
	}
	return nil
}

// copy copies one extent. Between files the kernel does it, and shares their blocks
// where it can.
func (l *layer) copy(ctx context.Context, from io.ReaderAt, e extent, n int64) error {
	at, to := e.logical*blockSize, l.offset+e.physical*blockSize
	if source, ok := from.(*os.File); ok {
		for n > 0 && ctx.Err() == nil {
			begin, end := at, to
			done, err := unix.CopyFileRange(int(source.Fd()), &begin, int(l.image.Fd()), &end, int(min(n, 64<<20)), 0)
			if err != nil || done == 0 {
				break
			}
			at, to, n = at+int64(done), to+int64(done), n-int64(done)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if n == 0 {
		return nil
	}
	done, err := io.CopyBuffer(writerOnly{io.NewOffsetWriter(l.image, to)}, ctxio.Reader(ctx, io.NewSectionReader(from, at, n)), make([]byte, min(n, 1<<20)))
	if err == nil && done < n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// writerOnly hides that a writer could read for itself.
type writerOnly struct{ io.Writer }
