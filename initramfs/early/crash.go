package early

import (
	"os"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/ledger"
	"github.com/gitboot/gitboot/initramfs/early/pstore"
)

// loadPstore has this kernel keep the end of its log in what outlives it, where there
// is such a memory: a kernel that can ends without, too.
func (b *boot) loadPstore() {
	var names []string
	if _, err := os.Stat("/sys/firmware/efi"); err == nil {
		names = append(names, "efi_pstore")
	}
	if strings.Contains(b.text, "ramoops.mem_") {
		names = append(names, "ramoops")
	}
	for _, name := range names {
		if b.modules.index.Find(name) < 0 {
			continue
		}
		if err := b.modules.loadNamed(name); err != nil {
			b.log.info("keeping the end of the kernel's log: %v", err)
		}
	}
}

// keepCrash notes what an earlier kernel has kept of its log when it ended, before the
// image's own programs take it where it is lost.
func (b *boot) keepCrash() {
	unmount, err := pstore.Mount()
	if err != nil {
		b.log.debug("%v", err)
		return
	}
	defer unmount()
	crash, files, err := pstore.Read(pstore.Dir)
	if err != nil || len(files) == 0 {
		return
	}
	l := ledger.Ledger{Cmdline: b.cmd, Device: b.device}
	id, err := l.Crashed(crash)
	if err == nil {
		err = pstore.Remove(files)
	}
	if err != nil {
		b.log.error("noting how a kernel ended: %v", err)
		return
	}
	b.log.notice("noted how the kernel of boot %s ended: %s", id, deployment.Ending(crash.Text))
}
