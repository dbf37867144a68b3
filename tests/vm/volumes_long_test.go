//go:build long

package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// A stage on a btrfs of two devices, of which neither has all, boots where these are two
// volumes of one group on an encrypted disk: what is asked for once opens both.
func TestLongSeveralVolumes(t *testing.T) {
	s := newEmptySite(t)
	archive := filepath.Join(s.dir, "small.tar")
	if err := lab.Small(s.ctx, archive, smallStart+`while read -r source path type rest; do
	[ "$path" = /run/initramfs/gitboot ] && echo "lab: stage on $source $type"
done </proc/mounts
for b in /sys/block/dm-*; do echo "lab: $(cat $b/dm/name)"; done
`+goodEnd, "btrfs"); err != nil {
		t.Fatal(err)
	}
	s.commitSmall(t, encryptedFleet, archive)

	const mb = 200
	dir, names := t.TempDir(), []string{"one", "two"}
	crypt := filepath.Join(dir, "crypt")
	empty := func(file string, mb int64) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, mb<<20)); err != nil {
			t.Fatal(err)
		}
	}
	empty(crypt, 2*mb+8)
	group, err := lab.NewVolumeGroup(s.ctx, "pool", nil, lab.Place{Path: crypt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := group.Close(); err != nil {
			t.Error(err)
		}
	})
	steps := []deployment.Step{{Kind: deployment.AssembleLUKS, ID: luksUUID}}
	var images []string
	for _, name := range names {
		images = append(images, filepath.Join(dir, name))
		empty(images[len(images)-1], mb)
		if err := group.Create(s.ctx, name, "-L", fmt.Sprintf("%dM", mb)); err != nil {
			t.Fatal(err)
		}
		vg, lv, err := group.UUIDs(s.ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, deployment.Step{Kind: deployment.AssembleLVM, ID: vg, Volume: lv})
	}
	if _, err := lab.Run(s.ctx, "mkfs.btrfs", append([]string{"-q", "-d", "raid0", "-m", "raid1", "-U", assembledUUID}, images...)...); err != nil {
		t.Fatal(err)
	}
	loop, err := lab.Run(s.ctx, "losetup", "--find", "--show", images[1])
	if err != nil {
		t.Fatal(err)
	}
	loop = strings.TrimSpace(loop)
	a := &assembledStage{image: images[0], options: ",device=" + loop, location: fmt.Sprintf("%s@UUID=%s:/gitboot", deployment.NewAssembly(steps...), assembledUUID)}
	disk := s.disk(t, lab.DiskOptions{SizeMB: 512, OtherSystem: true, BootApart: true})
	a.stage(t, s, disk)
	if _, err := lab.Run(s.ctx, "losetup", "--detach", loop); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if err := group.Write(s.ctx, name, images[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := group.Close(); err != nil {
		t.Fatal(err)
	}
	encrypt(t, crypt)

	asks := &prompt{question: []byte("(" + luksUUID + "): "), asked: make(chan struct{}, 8)}
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI, More: []string{crypt}, Console: asks})
	s.typeIn(t, vm, asks, passphrase)
	s.follow(t, vm, `lab: /bin/busybox started small on overlay`, `lab: stage on /dev/dm-\d btrfs`, `lab: luks-`+luksUUID, `lab: pool-one`, `lab: pool-two`, `Power down`)
	if err := vm.Wait(s.ctx); err != nil {
		t.Fatal(err)
	}
}
