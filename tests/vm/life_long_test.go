//go:build long

package vm

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// lifeFleet verifies every layer, has an address, and is confirmed by URL; its recovery
// entry has a shell on the console.
const lifeFleet = smallFleet + `confirm        = "outside"
confirm_within = "10s"
confirm_url    = "URL"

[[hook.network.file]]
path    = "/etc/address"
content = "ADDRESS"

[machine.small.recovery]
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6fLYqAGwTQmeYJSEbpJvb9z8EJVzvLHSM0zBSVJ5nl lab"]
`

// networkStart gives the machine its address.
const networkStart = `busybox modprobe virtio_net
busybox ifconfig eth0 "$(cat /etc/address)" && echo "lab: the address is $(cat /etc/address)"
`

// One machine's life, through UEFI and GRUB, with layers whose every byte is verified:
// a good default whose layer was changed gives way to the one before it, and is mended;
// a commit that comes while the disk is full waits for room; one whose hook gives the
// machine an address at which nobody can reach it goes away by itself; and when everything is bad, the recovery entry
// has gitboot and the stage at hand.
func TestLongLife(t *testing.T) {
	s := newEmptySite(t)
	var archives []string
	for _, name := range []string{"first", "second", "third"} {
		archive := filepath.Join(s.dir, name+".tar")
		s.smallTar(t, archive, smallStart+networkStart+"echo lab: "+name+"\n"+goodEnd)
		archives = append(archives, archive)
	}
	s.mac = "52:54:00:12:34:57"
	asked := make(chan struct{}, 100)
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	t.Cleanup(outside.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(outside.URL, "http://"), ":")
	fleet := strings.NewReplacer(`boot   = {`, "verity = \"enforce\"\nboot   = {", `"hostname"`, `"hostname", "network"`, "URL", "http://10.0.2.2:"+port+"/reached").Replace(lifeFleet)
	reachable, locked := strings.Replace(fleet, "ADDRESS", "10.0.2.15", 1), strings.Replace(fleet, "ADDRESS", "192.168.7.7", 1)
	disk := s.disk(t, lab.DiskOptions{})
	const off = `Power down`
	s.publishSmall(t, disk, reachable, archives[0])
	s.expect(t, disk, lab.UEFI, `gitboot.trying=1 .* gitboot.deployment=[0-9a-f]{64} `, `lab: first`, off)
	before := s.deployments(t, disk)
	s.publishSmall(t, disk, reachable, archives[1])
	s.expect(t, disk, lab.UEFI, `gitboot.trying=1 `, `lab: second`, off)

	s.run(t, disk, "small", "reconcile", "--once") // what was on trial is known to be good
	s.damage(t, disk, before)
	s.expect(t, disk, lab.UEFI, `cannot boot deployment .*: a block of it was changed or is damaged`,
		`rebooting in 5s, once into the entry gitboot-small-`, `lab: first`, off)
	if out, err := s.runs(t, disk, "small", "reconcile", "--once"); err != nil || !strings.Contains(out, "damaged") {
		t.Errorf("what was damaged is not told: %v\n%s", err, out)
	}
	s.expect(t, disk, lab.UEFI, `lab: second`, off)

	full := s.fill(t, disk)
	s.commitSmall(t, reachable, archives[2])
	if out, err := s.runs(t, disk, "small", "reconcile", "--once"); err == nil || !regexp.MustCompile(`space|room|full`).MatchString(out) {
		t.Errorf("with a full disk, %v:\n%s", err, out)
	}
	s.expect(t, disk, lab.UEFI, `lab: second`, off)
	s.look(t, disk, func(mnt string) error { return os.Remove(filepath.Join(mnt, full)) })
	s.publishSmall(t, disk, locked, archives[2])
	reached := len(asked)
	s.expect(t, disk, lab.UEFI, `gitboot.trying=1 `, `lab: the address is 192.168.7.7`, `lab: third`, `is bad: nobody confirmed it within 10 s: /run/gitboot/confirm did not come; http://10.0.2.2:\d+/reached: `, `lab: the address is 10.0.2.15`, `lab: second`, off)
	if reached == 0 || len(asked) != reached {
		t.Errorf("who confirms was asked %d times by those that it could answer, and %d times more", reached, len(asked)-reached)
	}
	s.run(t, disk, "small", "reconcile", "--once")
	if out, _ := s.runs(t, disk, "small", "status"); !strings.Contains(out, "nobody confirmed it") {
		t.Errorf("the status does not say why it is bad:\n%s", out)
	}

	s.run(t, disk, "small", "boot", "mark-bad", "small:1")
	s.run(t, disk, "small", "boot", "mark-bad", "small:3")
	s.recover(t, disk)
}

// damage changes the end, which is read when it is mounted, of the layer that no
// deployment had before.
func (s *site) damage(t *testing.T, disk *lab.Disk, before []*deployment.Manifest) {
	t.Helper()
	var layer deployment.Object
	for _, m := range s.deployments(t, disk) {
		if len(m.Layers) > 0 && !slices.ContainsFunc(before, func(b *deployment.Manifest) bool { return slices.Equal(b.Layers, m.Layers) }) {
			layer = m.Layers[0]
		}
	}
	s.look(t, disk, func(mnt string) error {
		f, err := os.OpenFile(filepath.Join(mnt, "gitboot", layer.Path()), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteAt(make([]byte, 4096), layer.Size-4096)
		return err
	})
}

// fill leaves no room on the disk, and returns what takes it.
func (s *site) fill(t *testing.T, disk *lab.Disk) string {
	t.Helper()
	const name = "filler"
	s.look(t, disk, func(mnt string) error {
		var st unix.Statfs_t
		if err := unix.Statfs(mnt, &st); err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(mnt, name))
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail-256)*st.Bsize)
	})
	return name
}

// recover boots what is left, and asks it on its console.
func (s *site) recover(t *testing.T, disk *lab.Disk) {
	t.Helper()
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.UEFI})
	if _, err := vm.WaitFor(s.ctx, regexp.MustCompile(`this is the recovery entry`)); err != nil {
		t.Fatal(err)
	}
	if err := vm.Send("gitboot status\r"); err != nil {
		t.Fatal(err)
	}
	if _, err := vm.WaitFor(s.ctx, regexp.MustCompile(`small +3 .*bad`)); err != nil {
		t.Error(err)
	}
	if err := vm.Send("poweroff -f\r"); err != nil {
		t.Fatal(err)
	}
	if err := vm.Wait(s.ctx); err != nil {
		t.Error(err)
	}
}
