package early

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/assemble"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
	"github.com/gitboot/gitboot/initramfs/early/ledger"
	"github.com/gitboot/gitboot/initramfs/early/unlock"
)

// deviceDir is where the stage's whole file system is mounted until the
// stage's directory is bound to its place.
const deviceDir = "/run/initramfs/gitboot-device"

// mountStage finds the stage's file system and mounts the stage read-only.
func (b *boot) mountStage() error {
	device, err := b.findStage()
	if err != nil {
		return err
	}
	return b.mountStageOf(device)
}

// findStage finds the stage's file system, after what that is on was assembled.
func (b *boot) findStage() (blockdev.Device, error) {
	if b.cmd.Assembly == "" {
		return b.devices.find("the stage's device", b.cmd.Stage.Device)
	}
	made, steps, came := "", b.cmd.Assembly.Steps(), []deployment.Step(nil)
	for i, step := range steps {
		twin := func(s deployment.Step) bool { return slices.Contains(came, s) || closed(s) }
		var err error
		if made, err = b.assemble(step, func() bool { return slices.ContainsFunc(twins(steps, i), twin) }); err != nil {
			return blockdev.Device{}, fmt.Errorf("assembling %s, which the stage is on: %w", step, err)
		}
		if made == "" {
			continue
		}
		came = append(came, step)
		if err := assemble.Announce(made); err != nil {
			b.log.warn("the image may not know %s by its name: %v", made, err)
		}
	}
	s := blockdev.Find(b.cmd.Stage.Device)
	device, ok := s.Look(filepath.Base(made))
	if !ok {
		return device, fmt.Errorf("finding the stage's device %s: it is not %s, which was assembled for it; there is %s", b.cmd.Stage.Device, made, s.Summary())
	}
	if !b.devices.whole(device) {
		return b.devices.find("the stage's other devices", b.cmd.Stage.Device)
	}
	return device, nil
}

// A part is a block device that is made of others, as they come.
type part interface {
	// Modules of the kernel's are needed.
	Modules() []string
	// Offer looks at a block device by its name, and reports whether none is lacking.
	Offer(name string) bool
	// Enough reports whether it can do without those that are lacking; String says
	// which have come.
	Enough() bool
	String() string
	// Make makes the device.
	Make() (path string, err error)
}

// twins are the other encrypted disks of the array that the one of a step may be of, none
// if there is no array above it.
func twins(steps []deployment.Step, at int) (others []deployment.Step) {
	array := slices.IndexFunc(steps[at:], func(s deployment.Step) bool { return s.Kind == deployment.AssembleRAID })
	if array < 0 {
		return nil
	}
	for i, s := range steps[:at+array] {
		if i != at && s.Kind == deployment.AssembleLUKS {
			others = append(others, s)
		}
	}
	return others
}

// closed reports whether the encrypted disk of a step is there, and not open.
func closed(step deployment.Step) bool {
	_, there := blockdev.Find("UUID=" + step.ID).All()
	return there
}

// assemble makes a device of those that a step is about. It makes none of an encrypted
// disk that does not come while there is a twin: the array above will tell whether it can
// do without.
func (b *boot) assemble(step deployment.Step, twin func() bool) (made string, err error) {
	var p part
	switch step.Kind {
	case deployment.AssembleLVM:
		p = assemble.NewVolume(step.ID, step.Volume)
	case deployment.AssembleRAID:
		p = assemble.NewArray(step.ID)
	default:
		return encrypted{b}.open(step, twin)
	}
	if err := b.modules.loadNamed(p.Modules()...); err != nil {
		return "", err
	}
	offer := func(name string) bool {
		return !blockdev.Skip(name, "") && (step.Kind == deployment.AssembleRAID || !b.devices.member(name)) && p.Offer(name)
	}
	if err := b.devices.await(quest{what: "the rest of its parts", look: offer, seen: p.String, enough: p.Enough}); err != nil {
		return "", err
	}
	if made, err = p.Make(); err == nil {
		b.log.info("assembled %s as %s", step, made)
	}
	return made, err
}

// encrypted is what the stage is on that takes a key.
type encrypted struct{ *boot }

// open opens the one that a step is about, unless it does not come and there is a twin.
func (b encrypted) open(step deployment.Step, twin func() bool) (made string, err error) {
	how, err := deployment.ParseUnlock(b.cmd.Unlock)
	if err != nil {
		return "", err
	}
	device, err := b.devices.findUnless("the encrypted disk", "UUID="+step.ID, twin)
	if err != nil || device.Path == "" {
		return "", err
	}
	opener := unlock.Opener{How: how, Say: b.log.notice, Attend: b.devices.attend, Load: b.modules.loadThere, Find: b.devices.findMountable}
	return opener.Open(context.Background(), device)
}

// findMountable finds a device, and has its file system's driver loaded.
func (d *devices) findMountable(what, name string) (blockdev.Device, error) {
	device, err := d.find(what, name)
	if err == nil {
		err = d.modules.loadNamed(moduleFor(device.FS.Type, d.modules))
	}
	return device, err
}

// mountStageOf mounts the stage that is on a device.
func (b *boot) mountStageOf(device blockdev.Device) error {
	b.device = device
	b.log.info("found the stage's file system: %s on %s", device.FS.Type, device.Path)
	if err := b.modules.loadNamed(moduleFor(device.FS.Type, b.modules)); err != nil {
		return err
	}
	b.modules.loadForBlock(b.cmd)
	if err := os.MkdirAll(deviceDir, 0o755); err != nil {
		return fmt.Errorf("making mount point %s: %w", deviceDir, err)
	}
	if err := device.Mount(deviceDir, unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID); err != nil {
		return err
	}
	dir := filepath.Join(deviceDir, b.cmd.Stage.Path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("opening the stage: %s on %s has no folder %s", device.FS.Type, device.Path, b.cmd.Stage.Path)
	}
	if err := mount(dir, stageDir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Unmount(deviceDir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detaching %s: %w", deviceDir, err)
	}
	return os.Remove(deviceDir)
}

// loadForBlock loads what the file system of the boot loader's block takes, where a
// boot is to be noted in one that is not the stage's: later nobody may be able to, in
// an image without modprobe.
func (m *modules) loadForBlock(cmd deployment.Cmdline) {
	if !cmd.Trying || cmd.Block == (deployment.Location{}) {
		return
	}
	device, ok := blockdev.Find(cmd.Block.Device).All()
	if !ok {
		m.log.info("the boot loader's block cannot be written yet: there is no %s", cmd.Block.Device)
		return
	}
	if err := m.loadNamed(moduleFor(device.FS.Type, m)); err != nil {
		m.log.info("the boot loader's block cannot be written yet: %v", err)
	}
}

// askIfTrying finds out whether this boot is on trial, where only the boot loader knows.
// What cannot be found out is none: the boot loader counts all the same.
func askIfTrying(b *boot) {
	if !b.cmd.Counted {
		return
	}
	asked, err := ledger.Ledger{Cmdline: b.cmd, Device: b.device}.Ask()
	if err != nil {
		b.log.warn("%v; this boot is not judged", err)
	}
	b.cmd = asked
}

// moduleFor names the module of a file system: ext4's serves all of ext's, and that of
// CDs has another name.
func moduleFor(fstype string, m *modules) string {
	if fstype == "iso9660" {
		return "isofs"
	}
	if strings.HasPrefix(fstype, "ext") && !m.index.Has(fstype) {
		return "ext4"
	}
	return fstype
}

// readManifest reads what is to be booted.
func (b *boot) readManifest() error {
	name := filepath.Join(stageDir, "deployments", b.cmd.Deployment+".json")
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading deployment %s: %w", b.cmd.Deployment, err)
	}
	b.manifest, err = deployment.ParseManifest(data, b.cmd.Deployment)
	return err
}
