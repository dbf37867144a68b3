package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/boot/sdboot/counter"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
)

// Ask returns the command line as it would be if it said whether this boot is on trial,
// and what boots in its place: as the boot loader's names say it. What they do not say
// is not so.
func (l Ledger) Ask() (deployment.Cmdline, error) {
	c := l.Cmdline
	c.Trying, c.Counted = false, false
	if !c.Block.InNames() || c.Entry == "" {
		return c, errors.New("finding out whether this boot is on trial: the command line does not say where that is counted")
	}
	device, ok := blockdev.Find(c.Block.Device).All()
	if !ok {
		return c, fmt.Errorf("finding out whether this boot is on trial: there is no %s", c.Block.Device)
	}
	err := l.aside(device, unix.MS_RDONLY, func(dir string) (err error) {
		c.Trying, c.Fallback, err = ask(filepath.Join(dir, c.Block.Path), c.Entry)
		return err
	})
	return c, err
}

// ask reports whether boots of an entry are counted, and which of the others in a folder
// boots if it is used up, "" if none would: one that can be booted more often.
func ask(dir, entry string) (counted bool, other string, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return false, "", fmt.Errorf("finding the boot loader's entries: %w", err)
	}
	for _, f := range files {
		n, ok := counter.Parse(f.Name(), counter.Entry)
		switch {
		case !ok:
		case n.ID == entry:
			counted = counted || n.Counted
		case other == "" && strings.HasPrefix(n.ID, "gitboot") && !strings.HasPrefix(n.ID, "gitboot.try-") && (!n.Counted || n.Left > 0) && starts(filepath.Join(dir, f.Name())):
			other = n.ID
		}
	}
	return counted, other, nil
}

// maxEntry is more than any entry of ours is long.
const maxEntry = 16 << 10

// starts reports whether an entry starts anything: one that does not is only counted.
func starts(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	text := make([]byte, maxEntry)
	n, _ := f.ReadAt(text, 0)
	return strings.Contains("\n"+string(text[:n]), "\nefi ")
}
