package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/program"
	"github.com/gitboot/gitboot/internal/progress"
)

// A Disk is an ext4 file system, without partitions, that is made of files of
// this computer. They are only read.
type Disk struct {
	// UUID is the file system's.
	UUID string
	// Folders are made, with mode 0700, and Files copied there; all paths on the
	// disk are absolute.
	Folders []string
	Files   []File
}

// A File is a file on a disk, and what it is made of: a file of this computer, or
// Text if Source is "".
type File struct {
	Path, Source string
	// Size is how much there is to copy.
	Size int64
	Text []byte
}

// spare is how much room a disk has for what the machine writes. What isn't
// written takes none on this computer.
const spare = 1 << 30

// Throwaway makes a file for a disk in a folder, without a name there: it is gone
// when it is discarded, or the program has ended. What it returns leads this
// program's children to it, too.
func Throwaway(dir string) (disk string, discard func() error, err error) { return throwaway(dir, nil) }

func throwaway(dir string, text []byte) (path string, discard func() error, err error) {
	f, err := os.CreateTemp(dir, "gitboot-vm-")
	if err != nil {
		return "", nil, fmt.Errorf("make a throwaway file: %w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return "", nil, errors.Join(fmt.Errorf("make a throwaway file: %w", err), f.Close())
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()), f.Close, nil
}

// Make writes the disk to a file, in place of what is in it. What fails leaves an
// empty one.
func (d Disk) Make(ctx context.Context, file string) (err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make a disk: %w", err)
	}
	size := d.size()
	err = room(file, size)
	if err == nil {
		err = f.Truncate(size + size/10 + spare)
	}
	if err == nil {
		_, err = output(ctx, "", "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-U", d.UUID, file)
	}
	if err == nil {
		err = d.fill(ctx, file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("make a disk that holds %s: %w", progress.Bytes(size), err), f.Truncate(0), f.Close())
	}
	return f.Close()
}

func (d Disk) size() (n int64) {
	for _, f := range d.Files {
		n += f.Size
	}
	return n
}

// room reports that a file cannot grow by so many bytes.
func room(file string, need int64) error {
	free, err := durable.FreeSpace(file)
	if err != nil {
		return err
	}
	if free < need+need/50+64<<20 {
		return fmt.Errorf("%s are free where it is to lie; make room, or name another folder in TMPDIR", progress.Bytes(free))
	}
	return nil
}

// lowest is how much room stays where the disk of a machine lies that goes on.
const lowest = 16 << 20

// Starved reports that there is no room left for what a machine writes to its disk.
// QEMU stops a machine that meets that, and says nothing.
func Starved(disk string) error {
	free, err := durable.FreeSpace(disk)
	if err == nil && free < lowest {
		err = fmt.Errorf("only %s are free where the virtual machine's disk lies, of which it needs more; make room, or name another folder in TMPDIR", progress.Bytes(free))
	}
	return err
}

// fill puts the files onto the disk. debugfs reads each where it lies: nothing is
// linked or mounted.
func (d Disk) fill(ctx context.Context, file string) (err error) {
	var script strings.Builder
	for _, folder := range d.folders() {
		fmt.Fprintf(&script, "mkdir %[1]s\nset_inode_field %[1]s mode 040700\n", quoted(folder))
	}
	for _, f := range d.Files {
		source := f.Source
		if source == "" {
			text, discard, terr := throwaway("", f.Text)
			if terr != nil {
				return terr
			}
			defer func() { err = errors.Join(err, discard()) }()
			source = text
		}
		if strings.ContainsAny(source+f.Path, "\n\r") {
			return fmt.Errorf("the path %q has a line end", source)
		}
		fmt.Fprintf(&script, "write %s %s\n", quoted(source), quoted(f.Path))
	}
	_, err = output(ctx, script.String(), "debugfs", "-w", "-f", "/dev/stdin", file)
	return err
}

// folders are all that there are to be, parents first.
func (d Disk) folders() []string {
	var all []string
	add := func(folder string) {
		for ; folder != "/"; folder = path.Dir(folder) {
			all = append(all, folder)
		}
	}
	for _, folder := range d.Folders {
		add(folder)
	}
	for _, f := range d.Files {
		add(path.Dir(f.Path))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// quoted writes one word for debugfs (its library ss).
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// output runs a program of e2fsprogs, of which what goes wrong in a script is on
// standard error alone.
func output(ctx context.Context, stdin, name string, args ...string) (string, error) {
	cmd := program.Command(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = grace
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	said := withoutBanner(stderr.String())
	if err == nil && said == "" {
		return stdout.String(), nil
	}
	if err == nil {
		err = errors.New("failed")
	}
	return "", fmt.Errorf("%s: %w: %s", name, err, said)
}

// withoutBanner is what a program of e2fsprogs says but for who it is.
func withoutBanner(stderr string) string {
	var said []string
	for line := range strings.Lines(stderr) {
		if line = plain.Line(line); line != "" && !banner().MatchString(line) {
			said = append(said, line)
		}
	}
	return strings.Join(said[:min(len(said), 5)], "; ")
}

var banner = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(debugfs|mke2fs) [0-9.]+ \(.*\)$`) })
