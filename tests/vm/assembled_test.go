package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

const assembledUUID = "3b2f6c1e-7a4d-4b0f-8c5e-9d1a2b3c4d5e"

// assembledStart tells what the stage is on, as the kernel has it.
const assembledStart = smallStart + `echo "lab: volume $(cat /sys/block/dm-0/dm/name) $(cat /sys/block/dm-0/dm/uuid) of $(busybox ls /sys/block/dm-0/slaves | busybox xargs echo)"
echo "lab: array $(cat /sys/block/md0/md/array_state) $(cat /sys/block/md0/md/level) $(cat /sys/block/md0/md/degraded)"
while read -r source path type rest; do
	[ "$path" = /run/initramfs/gitboot ] && echo "lab: stage on $source $type"
done </proc/mounts
`

// An assembledStage is one that lies on a striped volume of LVM's, of which one half is
// on a mirror and the other on a plain disk.
type assembledStage struct {
	mirror *lab.Mirror
	plain  string
	group  *lab.VolumeGroup
	volume string
	// location is what gitboot is told of it.
	location, volumeID string
	// image is the file system, which is written to the volume; of a btrfs of several
	// devices the first.
	image string
	// options are those to mount it with, besides.
	options string
}

// assembled makes one, with the superblocks of a version of md's metadata.
func (s *site) assembled(t *testing.T, metadata string) *assembledStage {
	t.Helper()
	dir := t.TempDir()
	a := &assembledStage{volume: "stage-lv", plain: filepath.Join(dir, "c"), image: filepath.Join(dir, "image")}
	var err error
	if a.mirror, err = lab.NewMirror(s.ctx, lab.MirrorOptions{Metadata: metadata}, filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	for file, size := range map[string]int64{a.plain: 256 << 20, a.image: 320 << 20} {
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, size)); err != nil {
			t.Fatal(err)
		}
	}
	a.group, err = lab.NewVolumeGroup(s.ctx, "data-vg", []string{"-s", "1M"}, lab.Place{Path: a.mirror.Files[0], Offset: a.mirror.Offset, Size: a.mirror.Size}, lab.Place{Path: a.plain})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.group.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := a.group.Create(s.ctx, "stage-lv", "-i", "2", "-I", "64k", "-L", "320M"); err != nil {
		t.Fatal(err)
	}
	group, volume, err := a.group.UUIDs(s.ctx, "stage-lv")
	if err != nil {
		t.Fatal(err)
	}
	assembly := deployment.NewAssembly(deployment.Step{Kind: deployment.AssembleRAID, ID: a.mirror.UUID}, deployment.Step{Kind: deployment.AssembleLVM, ID: group, Volume: volume})
	a.location, a.volumeID = fmt.Sprintf("%s@UUID=%s:/gitboot", assembly, assembledUUID), "LVM-"+group+volume
	if _, err := lab.Run(s.ctx, "mkfs.ext4", "-q", "-F", "-U", assembledUUID, a.image); err != nil {
		t.Fatal(err)
	}
	return a
}

// reconcile stages what the config repo wants, and writes it to where it belongs.
func (a *assembledStage) reconcile(t *testing.T, s *site, disk *lab.Disk) {
	t.Helper()
	a.stage(t, s, disk)
	if err := errors.Join(a.group.Write(s.ctx, a.volume, a.image), a.group.Close()); err != nil {
		t.Fatal(err)
	}
}

// stage stages what the config repo wants in the image.
func (a *assembledStage) stage(t *testing.T, s *site, disk *lab.Disk) {
	t.Helper()
	point := a.image + ".mnt"
	if err := os.Mkdir(point, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(s.ctx, "mount", "-o", "loop"+a.options, a.image, point); err != nil {
		t.Fatal(err)
	}
	s.look(t, disk, func(mnt string) error {
		out, err := exec.CommandContext(s.ctx, s.gitboot, "reconcile", "--once", "--repo", s.repo.Dir, "--machine", "small",
			"--stage", filepath.Join(point, "gitboot"), "--stage-location", a.location, "--boot", filepath.Join(mnt, "boot/grub")).CombinedOutput()
		t.Logf("%s", out)
		return err
	})
	if _, err := lab.Run(s.ctx, "umount", point); err != nil {
		t.Fatal(err)
	}
}

// A stage on a striped volume, half of which is on a mirror whose members look like
// physical volumes themselves, boots by GRUB from copies on a /boot of its own; there
// boots are counted, and what came up is good. Volume and array are called as LVM and
// mdadm would call them.
func TestAssembled(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	s.smallTar(t, archive, assembledStart+goodEnd)
	s.commitSmall(t, smallFleet, archive)
	a := s.assembled(t, "1.0")
	disk := s.disk(t, lab.DiskOptions{SizeMB: 512, OtherSystem: true, BootApart: true})
	a.reconcile(t, s, disk)
	if err := a.mirror.Copy(); err != nil {
		t.Fatal(err)
	}
	assembly, _, _ := strings.Cut(a.location, "@")
	s.expectWith(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, More: []string{a.mirror.Files[0], a.mirror.Files[1], a.plain}},
		`lab: BOOT_IMAGE=/grub/gitboot/[0-9a-f]{64} .*gitboot.trying=1 .* gitboot.assemble=`+assembly+` `, `lab: /bin/busybox started small on overlay`,
		`lab: volume data--vg-stage--lv `+a.volumeID+` of md0 vd[b-d]`, `lab: array (read-auto|clean|active) raid1 0`, `lab: stage on /dev/dm-0 ext4`, `Power down`)
	s.look(t, disk, func(mnt string) error {
		block, err := os.ReadFile(filepath.Join(mnt, "boot/grub/gitboot/gitboot.env"))
		if err == nil && !strings.Contains(string(block), "gitboot_good=gitboot-small-") {
			t.Errorf("the boot loader's block says %.300q", block)
		}
		return err
	})
}
