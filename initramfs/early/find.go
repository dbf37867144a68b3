package early

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/probe"
)

const (
	hintAfter = 5 * time.Second
	// quickSettle is how long quick drivers must have been idle.
	quickSettle = 50 * time.Millisecond
)

// A device is a block device that holds a known file system.
type device struct {
	path string
	fs   probe.Filesystem
}

// findStage waits for the stage's device: after looking at all that are
// there, at each that a uevent reports.
func (b *boot) findStage() (device, error) {
	fd, err := listen()
	if err != nil {
		return device{}, err
	}
	s := search{want: b.cmd.Stage.Device, seen: make(map[string]device)}
	if d, ok := s.all(); ok {
		return d, nil
	}
	events := make(chan uevent, 256)
	go receive(fd, events) // until exec ends it
	b.modules.coldplug()
	wait := defaultWait
	if b.cmd.Wait > 0 {
		wait = time.Duration(b.cmd.Wait) * time.Second
	}
	return b.await(&s, events, wait)
}

// await looks at each device that comes. Drivers that take long wait until
// the quick ones have brought what they have.
func (b *boot) await(s *search, events <-chan uevent, wait time.Duration) (device, error) {
	limit, hint, quick := time.NewTimer(wait), time.NewTimer(hintAfter), time.NewTimer(0)
	for {
		select {
		case e := <-events:
			if alias := e["MODALIAS"]; alias != "" && e["ACTION"] == "add" {
				b.modules.request(alias)
			}
			if e["SUBSYSTEM"] != "block" || e["ACTION"] == "remove" {
				continue
			}
			if d, ok := s.event(e); ok {
				return d, nil
			}
		case <-quick.C:
			if !b.modules.release() {
				quick.Reset(quickSettle)
			}
		case <-hint.C:
			b.log.notice("waiting up to %v for the stage's device %s; so far there is %s", wait, s.want, s.summary())
		case <-limit.C:
			return device{}, fmt.Errorf("waiting %v for the stage's device %s: it didn't come; there is %s (%s= sets another limit)",
				wait, s.want, s.summary(), deployment.ParamWait)
		}
	}
}

// A search compares block devices with the one that is wanted.
type search struct {
	want string
	seen map[string]device // by name; looked at already
}

// all looks at every block device there is.
func (s *search) all() (device, bool) {
	names, _ := os.ReadDir("/sys/class/block")
	for _, n := range names {
		if d, ok := s.look(n.Name()); ok {
			return d, true
		}
	}
	return device{}, false
}

func (s *search) event(e uevent) (device, bool) {
	name := e["DEVNAME"]
	if name == "" {
		return s.all()
	}
	return s.look(strings.TrimPrefix(name, "/dev/"))
}

// look reads one device's superblock and says whether it is the one.
func (s *search) look(name string) (device, bool) {
	if skip(name) {
		return device{}, false
	}
	d := device{path: "/dev/" + strings.ReplaceAll(name, "!", "/")}
	f, err := os.Open(d.path)
	if err != nil {
		return d, false
	}
	defer f.Close()
	var ok bool
	if d.fs, ok = probe.Identify(f); !ok {
		return d, false
	}
	s.seen[name] = d
	return d, s.is(name, d)
}

// skip leaves out what never holds a stage and may be slow to read.
func skip(name string) bool {
	for _, prefix := range []string{"loop", "ram", "zram", "fd", "sr", "nbd", "mtdblock"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return true
		}
	}
	return false
}

func (s *search) is(name string, d device) bool {
	key, value, tag := strings.Cut(s.want, "=")
	switch {
	case !tag:
		return s.want == d.path
	case key == "UUID":
		return strings.EqualFold(value, d.fs.UUID)
	case key == "LABEL":
		return value == d.fs.Label
	case key == "PARTUUID":
		return strings.EqualFold(value, partUUID(name))
	}
	return false
}

// partUUID takes a partition's UUID from the kernel, which tells it since
// 6.13, or else from the disk's table.
func partUUID(name string) string {
	dir, err := filepath.EvalSymlinks("/sys/class/block/" + name)
	if err != nil {
		return ""
	}
	text, _ := os.ReadFile(dir + "/uevent")
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "PARTUUID="); ok {
			return id
		}
	}
	number, ok := readInt(dir + "/partition")
	if !ok {
		return ""
	}
	disk, err := os.Open("/dev/" + strings.ReplaceAll(filepath.Base(filepath.Dir(dir)), "!", "/"))
	if err != nil {
		return ""
	}
	defer disk.Close()
	sector, _ := readInt(filepath.Dir(dir) + "/queue/logical_block_size")
	return probe.PartUUID(disk, int64(sector), number)
}

func readInt(name string) (int, bool) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return n, err == nil
}

// summary lists the file systems that were seen.
func (s *search) summary() string {
	names, _ := os.ReadDir("/sys/class/block")
	var out []string
	for _, n := range names {
		if skip(n.Name()) {
			continue
		}
		word := n.Name()
		if d, ok := s.seen[n.Name()]; ok {
			word += " (" + d.fs.Type + " UUID=" + d.fs.UUID + " LABEL=" + d.fs.Label + ")"
		}
		out = append(out, word)
	}
	if len(out) == 0 {
		return "no block device at all: the initramfs may lack its driver"
	}
	return strings.Join(out, ", ")
}
