package cut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/need"
)

// A view is what a reader finds of what decides a boot.
type view struct {
	// files are the sha256 of those that can be read, by path.
	files map[string]string
	// def is what boots by itself, "" where no script was run.
	def string
}

// distribution is what boots by itself where we do not decide it.
const distribution = "distribution"

// A grubReader has the real GRUB look at disks, by its own drivers: it replays no
// journal. What GRUB reads decides what it finds, so that a disk that is equal
// where GRUB has read another is not read again.
type grubReader struct {
	program string
	site    site
	names   []string
	// beside is the image of another disk that is there, if there is one.
	beside string

	mu    sync.RWMutex
	known []*seen
	runs  int
}

// A seen disk is what GRUB has read of it, and found.
type seen struct {
	sectors []int64
	sums    []sum
	view    view
}

func newGRUBReader(t testing.TB, s site, names []string) *grubReader {
	need.Program(t, "strace")
	return &grubReader{program: need.Program(t, "grub-emu"), site: s, names: names}
}

// look returns GRUB's view of a disk that has become a state.
func (g *grubReader) look(ctx context.Context, d *disk, c change) (view, error) {
	changed := make(map[int64]sum, len(c))
	for s, data := range c {
		changed[s] = sumOf(data)
	}
	now := func(s int64) sum {
		if is, ok := changed[s]; ok {
			return is
		}
		return d.sums[s]
	}
	g.mu.RLock()
	i := slices.IndexFunc(g.known, func(k *seen) bool { return k.same(now) })
	var found view
	if i >= 0 {
		found = g.known[i].view
	}
	g.mu.RUnlock()
	if i >= 0 {
		return found, nil
	}
	k, err := g.run(ctx, d.file.Name())
	if err != nil {
		return view{}, err
	}
	if err := d.become(c); err != nil { // GRUB may have counted in its block
		return view{}, err
	}
	for _, s := range k.sectors {
		k.sums = append(k.sums, now(s))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known = append([]*seen{k}, g.known...)
	g.runs++
	return k.view, nil
}

// same reports whether all that GRUB has read is as it was.
func (k *seen) same(now func(int64) sum) bool {
	for i, s := range k.sectors {
		if now(s) != k.sums[i] {
			return false
		}
	}
	return true
}

// script has GRUB say which files it can read, and then do what the distribution's
// grub.cfg does.
func (g *grubReader) script() string {
	var b strings.Builder
	b.WriteString("set enable_progress_indicator=0\nset pager=0\n")
	for i, name := range g.names {
		fmt.Fprintf(&b, "echo \"<%d>\"\nif [ -f (hd0)%s ]; then\n  sha256sum (hd0)%s\nfi\n", i, name, name)
	}
	fmt.Fprintf(&b, "echo \"<end>\"\nset default=%s\nset root=hd0\nif [ -f (hd0)%[2]s ]; then\n  source (hd0)%[2]s\nfi\necho \"<default $default>\"\nexit\n", distribution, g.site.custom)
	return b.String()
}

var (
	escapes = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]|\r`)
	hashed  = regexp.MustCompile(`(?s)<(\d+)>\n([0-9a-f]{64}) `)
	chosen  = regexp.MustCompile(`(?s)<default ([^>]*(?:>[^>\n]*)?)>`)
)

// run has GRUB look at the image of a disk, and finds out what it reads of it.
func (g *grubReader) run(ctx context.Context, image string) (*seen, error) {
	dir, err := os.MkdirTemp("", "gitboot-cut-grub-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	devices, trace := filepath.Join(dir, "device.map"), filepath.Join(dir, "trace")
	disks := "(hd0) " + image + "\n"
	if g.beside != "" {
		disks += "(hd1) " + g.beside + "\n"
	}
	err = errors.Join(os.WriteFile(devices, []byte(disks), 0o600),
		os.WriteFile(filepath.Join(dir, "grub.cfg"), []byte(g.script()), 0o600))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "strace", "-f", "--seccomp-bpf", "-y", "-s0", "-e", "trace=read,lseek,pread64", "-o", trace,
		g.program, "-d", dir, "-r", "host", "-m", devices)
	cmd.Env = []string{"TERM=dumb", "PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	text := escapes.ReplaceAllString(string(out), "")
	def := chosen.FindStringSubmatch(strings.ReplaceAll(text, "\n", ""))
	if ctx.Err() != nil || def == nil {
		return nil, fmt.Errorf("grub-emu: %w: %s", errors.Join(err, ctx.Err()), text)
	}
	k := &seen{view: view{files: map[string]string{}, def: def[1]}}
	for _, m := range hashed.FindAllStringSubmatch(text, -1) {
		n, _ := strconv.Atoi(m[1])
		k.view.files[g.names[n]] = m[2]
	}
	log, err := os.ReadFile(trace)
	if err != nil {
		return nil, err
	}
	k.sectors, err = readSectors(log, image)
	return k, err
}

var (
	seeks = regexp.MustCompile(`lseek\(\d+<([^>]*)>, .*\) = (\d+)$`)
	reads = regexp.MustCompile(`read\(\d+<([^>]*)>, .*\) = (\d+)$`)
)

// readSectors finds in a trace which sectors of an image were read.
func readSectors(trace []byte, image string) ([]int64, error) {
	read := map[int64]bool{}
	var at int64
	for line := range bytes.Lines(trace) {
		line = bytes.TrimRight(line, "\n")
		if m := seeks.FindSubmatch(line); m != nil && string(m[1]) == image {
			at, _ = strconv.ParseInt(string(m[2]), 10, 64)
		} else if m := reads.FindSubmatch(line); m != nil && string(m[1]) == image {
			n, _ := strconv.ParseInt(string(m[2]), 10, 64)
			for end := at + n; at < end; at += sectorSize {
				read[at/sectorSize] = true
			}
		} else if bytes.Contains(line, []byte("pread64(")) && bytes.Contains(line, []byte(image)) {
			return nil, fmt.Errorf("GRUB reads %s in a way that is not followed: %s", image, line)
		}
	}
	if len(read) == 0 {
		return nil, fmt.Errorf("GRUB has read nothing of %s", image)
	}
	var out []int64
	for s := range read {
		out = append(out, s)
	}
	slices.Sort(out)
	return out, nil
}
