package place

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
)

// An Encrypted is an encrypted disk on the way to a file system.
type Encrypted struct {
	Path   string
	Header *luks.Header
}

// EncryptedBelow are the encrypted disks that a file system which Find has found is on.
func EncryptedBelow(fs boot.Filesystem) ([]Encrypted, error) {
	if fs.Device == "" || !slices.Contains(fs.Assembly.Kinds(), deployment.AssembleLUKS) {
		return nil, nil
	}
	c, err := follow(devicesOf(fs, filepath.Join(classDir, filepath.Base(fs.Device)))...)
	return c.encrypted, err
}

// classDir has a folder for each block device.
const classDir = "/sys/class/block"

// Reached refuses a file system, by UUID=…, LABEL=… or PARTUUID=…, that lies on more than
// process 1 has assembled when it looks for that. One that is not here now may be there
// at boot.
func Reached(name string, assembled deployment.Assembly) error {
	search := blockdev.Find(name)
	for _, block := range blockdev.Names() {
		device, ok := search.Look(block)
		if !ok {
			continue
		}
		c, err := follow(filepath.Join(classDir, block))
		if err == nil {
			err = c.within(assembled)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", device.Path, err)
		}
		return nil
	}
	return nil
}

// within refuses what is on more than was assembled.
func (c *chain) within(assembled deployment.Assembly) error {
	there := assembled.Steps()
	for _, step := range c.steps {
		if !slices.Contains(there, step) {
			return fmt.Errorf("it is on %s, which is not assembled at boot, when that is looked for; take a plain disk or partition", step)
		}
	}
	return nil
}
