package doctor

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/boot/unlocking"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/luks"
)

// checkEncryption says which ways lead into the encrypted disks that the stage is on.
func checkEncryption(ctx context.Context, v *visit) (out []Finding) {
	if v.unopened != nil {
		return skip("the settings or the stage are not in order")
	}
	if v.Config.Location != nil {
		return skip("where the stage lies at boot is told by the settings")
	}
	fs, err := v.r.Machine.Book.Locate(ctx)
	if err != nil {
		return skip("where the stage lies is not known")
	}
	encrypted, err := place.EncryptedBelow(fs)
	if err != nil {
		return fail(err.Error(), "")
	}
	if len(encrypted) == 0 {
		return ok("the stage is on no encrypted disk")
	}
	how := v.unlocked()
	for _, e := range encrypted {
		for _, f := range judgeEncrypted(e.Header, how, v.Restarts, memory()) {
			f.Subject = e.Path
			out = append(out, f)
		}
	}
	return out
}

// unlocked is what is declared or, where that is not known, what was staged.
func (v *visit) unlocked() deployment.Unlock {
	if w, err := v.wants(); err == nil && w.Wants != nil {
		for _, img := range w.Wants.Images {
			return deployment.UnlockIn(img.KernelArgs)
		}
	}
	doc, st, skipped := v.staged()
	if skipped != nil {
		return deployment.Unlock{}
	}
	for _, name := range doc.MenuOrder() {
		if g := doc.Images[name].Newest(); g != nil {
			if m, err := st.Deployment(g.Deployment); err == nil {
				return deployment.UnlockIn(m.KernelArgs)
			}
		}
	}
	return deployment.Unlock{}
}

// memory is all of this machine's, in bytes, 0 if it is not known.
func memory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// judgeEncrypted judges one disk, on a machine that may restart by itself and has so
// much memory.
func judgeEncrypted(h *luks.Header, how deployment.Unlock, restarts bool, memory int64) (out []Finding) {
	if err := unlocking.Check(h, how); err != nil {
		return fail(err.Error(), "declare other ways with unlock of the machine, or add what these take")
	}
	ways := unlocking.Ways(h, how)
	var open []string
	for _, w := range ways {
		if w.Wrong == nil {
			open = append(open, fmt.Sprintf("%s (%s)", w.Name, w.By))
		} else {
			out = append(out, warn(fmt.Sprintf("%s is tried, and leads nowhere: %v", w.Name, w.Wrong), "leave it out of the machine's unlock, or add what it takes")...)
		}
	}
	for _, s := range h.Slots() {
		if memory > 0 && s.Memory > luks.Share(memory) {
			out = append(out, warn(fmt.Sprintf("key slot %s takes %d MiB of memory at boot, of the %d MiB that this machine has", s.Name, s.Memory>>20, memory>>20),
				"add a passphrase that takes less: cryptsetup luksAddKey --pbkdf-memory 262144")...)
		}
	}
	way := "it is opened by " + strings.Join(open, ", then ")
	switch {
	case unlocking.Unattended(ways):
		return append(out, ok("%s", way)...)
	case restarts:
		return append(out, warn(way+": the agent restarts this machine, which then waits for somebody at its console, and what is new counts as failed if nobody comes",
			"add a TPM (systemd-cryptenroll --tpm2-device=auto --tpm2-pcrs=7) or a key file, or set reboot = \"never\" in agent.toml")...)
	}
	return append(out, ok("%s; somebody has to be there at each boot", way)...)
}
