package place

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/disk/lvm"
	"github.com/gitboot/gitboot/disk/mdraid"
)

// A chain collects the steps by which process 1 comes to a device, those first that
// others need. It goes by sysfs, and has each device tell what it is as process 1 will:
// what cannot be assembled then is refused now.
type chain struct {
	steps     []deployment.Step
	encrypted []Encrypted
}

// maxDepth is more than anybody stacks.
const maxDepth = 16

// devicesOf are the folders in sysfs of a file system's devices, of which btrfs may have
// more than the one that is known.
func devicesOf(fs boot.Filesystem, sys string) []string {
	if fs.Type == "btrfs" {
		if all, err := filepath.Glob("/sys/fs/btrfs/" + fs.UUID + "/devices/*"); err == nil && len(all) > 1 {
			return all
		}
	}
	return []string{sys}
}

// follow finds what block devices, by their folders in sysfs, are on.
func follow(devices ...string) (c chain, err error) {
	for _, sys := range devices {
		if err := c.add(sys, 0); err != nil {
			return c, err
		}
	}
	return c, nil
}

// assembly is what process 1 is told.
func (c *chain) assembly() (deployment.Assembly, error) {
	if len(c.steps) == 0 {
		return "", nil
	}
	return deployment.ParseAssembly(string(deployment.NewAssembly(c.steps...)))
}

// add adds the steps that lead to a device, if there are any.
func (c *chain) add(sys string, depth int) error {
	if depth > maxDepth {
		return errors.New("it is on more devices than anybody stacks")
	}
	step, err := c.stepOf(sys)
	if err != nil || step == (deployment.Step{}) {
		return err
	}
	below, err := slaves(sys)
	if err != nil {
		return err
	}
	for _, name := range below {
		if err := c.add(filepath.Join(sys, "slaves", name), depth+1); err != nil {
			return err
		}
	}
	if !slices.Contains(c.steps, step) {
		c.steps = append(c.steps, step)
	}
	return nil
}

// slaves are the names of the devices that one is made of.
func slaves(sys string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(sys, "slaves"))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

const remedy = "; put the stage on a plain disk or partition, a linear or striped volume of LVM, a software RAID of level 1, or a disk encrypted with LUKS"

// stepOf returns what makes a device, nothing for a disk or partition.
func (c *chain) stepOf(sys string) (s deployment.Step, err error) {
	uuid, _ := os.ReadFile(filepath.Join(sys, "dm/uuid")) // absent for all but the device mapper
	id := strings.TrimSpace(string(uuid))
	_, noArray := os.Stat(filepath.Join(sys, "md"))
	_, noPartition := os.Stat(filepath.Join(sys, "partition"))
	switch {
	case strings.HasPrefix(id, "CRYPT-"):
		s, err = c.encryptedOf(sys, strings.TrimPrefix(id, "CRYPT-"))
	case strings.HasPrefix(id, "LVM-"):
		s, err = volumeOf(sys, strings.TrimPrefix(id, "LVM-"))
	case noArray == nil:
		s, err = arrayOf(sys)
	case id != "" || isMapped(sys):
		return s, errors.New("it is of the device mapper's, and neither LVM's nor LUKS'" + remedy)
	case noPartition == nil:
		real, err := filepath.EvalSymlinks(sys)
		if err != nil {
			return s, err
		}
		if whole, err := c.stepOf(filepath.Dir(real)); err != nil || whole != s {
			return s, errors.New("it is on a partition of a device that is made of others" + remedy)
		}
		return s, nil
	default:
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("%w%s", err, remedy)
	}
	return s, s.Check()
}

func isMapped(sys string) bool {
	_, err := os.Stat(filepath.Join(sys, "dm"))
	return err == nil
}

// encryptedOf is LUKS', of which the device mapper has the kind and the header's UUID.
func (c *chain) encryptedOf(sys, id string) (s deployment.Step, err error) {
	if !strings.HasPrefix(id, "LUKS") {
		return s, errors.New("it is encrypted, and not with LUKS")
	}
	err = members(sys, func(path string, dev io.ReaderAt, _ int64) error {
		h, err := luks.Read(dev)
		if err == nil {
			s = deployment.Step{Kind: deployment.AssembleLUKS, ID: strings.ToLower(h.UUID)}
			c.encrypted = append(c.encrypted, Encrypted{path, h})
		}
		return err
	})
	return s, err
}

// volumeOf is LVM's. By its UUID the device mapper has it as that of the volume group
// and its own, with more behind that where it is only a part of another.
func volumeOf(sys, id string) (s deployment.Step, err error) {
	const length = 32
	if len(id) != 2*length {
		return s, errors.New("it is a part of a logical volume that is neither linear nor striped")
	}
	s = deployment.Step{Kind: deployment.AssembleLVM, ID: id[:length], Volume: id[length:]}
	var group *lvm.Group
	err = members(sys, func(_ string, dev io.ReaderAt, _ int64) error {
		m, err := lvm.Read(dev)
		if err == nil && m.Group != nil && m.Group.UUID == s.ID && (group == nil || m.Group.Seqno > group.Seqno) {
			group = m.Group
		}
		return err
	})
	switch {
	case err != nil:
		return s, err
	case group == nil:
		return s, errors.New("none of the physical volumes that it is on knows its volume group")
	}
	_, err = group.Volume(s.Volume)
	return s, err
}

// arrayOf is md's.
func arrayOf(sys string) (s deployment.Step, err error) {
	err = members(sys, func(_ string, dev io.ReaderAt, size int64) error {
		m, err := mdraid.Read(dev, size)
		if err != nil {
			return err
		}
		s = deployment.Step{Kind: deployment.AssembleRAID, ID: m.UUID}
		return m.Check()
	})
	return s, err
}

// members reads what each device says that one is made of.
func members(sys string, read func(path string, dev io.ReaderAt, size int64) error) error {
	names, err := slaves(sys)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("it is made of nothing that can be seen")
	}
	for _, name := range names {
		device, err := deviceName(filepath.Join(sys, "slaves", name))
		if err != nil {
			return err
		}
		f, err := os.Open(device)
		if err != nil {
			return fmt.Errorf("%w; only root can read it", err)
		}
		size, err := f.Seek(0, io.SeekEnd)
		if err == nil {
			err = read(device, f, size)
		}
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", device, err)
		}
	}
	return nil
}
