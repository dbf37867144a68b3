package menu

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/boot/unlocking"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/spec"
)

// Assembles refuses a generation whose initramfs cannot put together what the stage is
// on: it came from elsewhere, or was staged before the stage moved there. Of one that was
// staged here the inputs say it, too.
func Assembles(m *deployment.Manifest, in plan.Inputs, fs boot.Filesystem) error {
	if lacking := fs.Assembly.Beyond(slices.Concat(m.Assembles, in.Assembles)); len(lacking) > 0 {
		return fmt.Errorf("its initramfs cannot put together %s, which the stage is on; stage its image anew on this machine", strings.Join(lacking, " and "))
	}
	return nil
}

// Reachable finds out before anything is fetched whether process 1 comes to the disks of
// what is wanted: the stage's own, if that is encrypted, and those of the key file and of
// the writable layer. Of a machine that this one is not, nobody can know.
func Reachable(b *Book, want spec.Image, fs boot.Filesystem) error {
	if b.Location != nil {
		return nil
	}
	how := deployment.UnlockIn(want.KernelArgs)
	encrypted, err := place.EncryptedBelow(fs)
	if err != nil {
		return err
	}
	for _, e := range encrypted {
		if err := unlocking.Check(e.Header, how); err != nil {
			return fmt.Errorf("%w; see unlock of the machine", err)
		}
	}
	if len(encrypted) > 0 && how.KeyFile != (deployment.Location{}) {
		if err := place.Reached(how.KeyFile.Device, ""); err != nil {
			return fmt.Errorf("the key file's disk %s: %w", how.KeyFile.Device, err)
		}
	}
	if want.Upper != nil && want.Upper.Device != "" {
		if err := place.Reached(want.Upper.Device, fs.Assembly); err != nil {
			return fmt.Errorf("the disk of the writable layer, %s: %w", want.Upper.Device, err)
		}
	}
	return nil
}

// Attended are the encrypted disks that the stage is on and that somebody has to open at
// each boot of what is wanted: where nobody comes, what is on trial fails. Of a machine
// that this one is not, nobody can know.
func Attended(b *Book, want spec.Image, fs boot.Filesystem) (disks []string, err error) {
	if b.Location != nil {
		return nil, nil
	}
	encrypted, err := place.EncryptedBelow(fs)
	how := deployment.UnlockIn(want.KernelArgs)
	for _, e := range encrypted {
		if !unlocking.Unattended(unlocking.Ways(e.Header, how)) {
			disks = append(disks, e.Path)
		}
	}
	return disks, err
}
