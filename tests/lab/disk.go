package lab

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The layout of every disk, in sectors of 512 bytes: a partition for GRUB's
// BIOS core, an EFI system partition, perhaps one for /boot, and one file system
// for the rest.
const (
	sector    = 512
	biosStart = 2048
	biosSize  = 2048
	espStart  = biosStart + biosSize
	espSize   = 64 << 11
	bootStart = espStart + espSize
	bootSize  = 128 << 11
	tailSize  = 2048 // the backup partition table, rounded up
)

// DiskOptions says what disk to make. The zero value is good.
type DiskOptions struct {
	// SizeMB is the size of the disk, 4096 if 0. The file is sparse.
	SizeMB int64
	// Type is the file system: ext4 (the default), xfs or btrfs.
	Type string
	// BootApart gives /boot a file system of its own, and makes the large one, an
	// ext4, so that GRUB cannot read it.
	BootApart bool
	// OnLVM has the large file system, /boot with it, on a volume of LVM's.
	OnLVM bool
	// OnMirror has GRUB look for /boot on an array, where MoveBoot takes it.
	OnMirror bool
	// OtherSystem puts an entry of another system first in the menu, which
	// says so on the console and powers off.
	OtherSystem bool
	// Shim has UEFI start Debian's signed GRUB by Debian's shim, which MicrosoftUEFI
	// takes.
	Shim bool
	// UUID and ESPUUID are those of the large file system and of the EFI system partition's,
	// where it matters which.
	UUID, ESPUUID string
}

// A Disk is a raw disk image that GRUB boots, by BIOS or by UEFI. Its one
// large file system holds /boot/grub and has room for a stage.
type Disk struct {
	// Path is the image file.
	Path string
	// UUID is the large file system's.
	UUID string
	// Type is the large file system's type.
	Type string

	sizeMB   int64
	espUUID  string
	bootUUID string // that of /boot's own file system, or ""
	onLVM    bool   // the large file system is on a volume, called as Ubuntu Server's
	onMirror bool   // /boot is on an array, or will be
	mnt      string // where it is mounted, or ""
}

// NewDisk makes a disk image at path and installs GRUB on it.
func NewDisk(ctx context.Context, path string, o DiskOptions) (*Disk, error) {
	d := &Disk{Path: path, UUID: cmp.Or(o.UUID, newUUID()), Type: cmp.Or(o.Type, "ext4"), sizeMB: cmp.Or(o.SizeMB, 4096), espUUID: cmp.Or(o.ESPUUID, espUUID)}
	if d.onLVM, d.onMirror = o.OnLVM, o.OnMirror; o.BootApart {
		d.bootUUID = newUUID()
	}
	steps := []func(context.Context) error{
		d.partition,
		d.format,
		func(ctx context.Context) error { return d.installGRUB(ctx, o) },
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("make the disk %s: %w", path, err), d.Unmount(), os.Remove(path))
		}
	}
	return d, nil
}

// Mount mounts the large file system on a folder beside the image and returns
// that folder. Mounted already, it only returns the folder. No machine may be
// running from the disk.
func (d *Disk) Mount(ctx context.Context) (string, error) {
	if d.mnt != "" {
		return d.mnt, nil
	}
	dir := d.Path + ".mnt"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	root, err := d.root(ctx)
	if err != nil {
		return "", err
	}
	if err := d.mountPart(ctx, d.Type, root.Start, root.Size*sector, dir); err != nil {
		return "", err
	}
	d.mnt = dir
	if d.bootUUID == "" {
		return dir, nil
	}
	boot := filepath.Join(dir, "boot")
	err = errors.Join(os.MkdirAll(boot, 0o755), d.mountPart(ctx, "ext4", bootStart, bootSize*sector, boot))
	if err != nil {
		return "", errors.Join(err, d.Unmount())
	}
	return dir, nil
}

func (d *Disk) mountPart(ctx context.Context, fstype string, start, size int64, dir string) error {
	options := fmt.Sprintf("loop,offset=%d,sizelimit=%d", start*sector, size)
	_, err := Run(ctx, "mount", "-t", fstype, "-o", options, d.Path, dir)
	return err
}

// Unmount writes everything out and unmounts. Not mounted, it does nothing. It
// takes no context, because it cleans up after one that is done.
func (d *Disk) Unmount() error {
	if d.mnt == "" {
		return nil
	}
	if out, err := exec.Command("umount", "--recursive", d.mnt).CombinedOutput(); err != nil {
		return fmt.Errorf("unmount %s: %w: %s", d.mnt, err, tail(string(out), 300))
	}
	dir := d.mnt
	d.mnt = ""
	return os.Remove(dir)
}

// MoveBoot moves the file system that /boot is on to an array.
func (d *Disk) MoveBoot(ctx context.Context, m *Mirror) error {
	part := BootPart
	if d.bootUUID == "" {
		var err error
		if part, err = d.root(ctx); err != nil {
			return err
		}
	}
	if part.Size*sector > m.Size {
		return fmt.Errorf("the array has %d bytes, and /boot %d", m.Size, part.Size*sector)
	}
	f, err := os.OpenFile(d.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = m.Fill(io.NewSectionReader(f, part.Start*sector, part.Size*sector))
	if err == nil { // nobody is to find it where it was
		_, err = f.WriteAt(make([]byte, 1<<20), part.Start*sector)
	}
	return errors.Join(err, f.Close())
}

// Carry makes the last partition the half of an array that is in a file.
func (d *Disk) Carry(ctx context.Context, half string) error {
	from, err := os.Open(half)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err == nil && info.Size() > d.rootSize() {
		err = fmt.Errorf("the half has %d bytes, and the partition %d", info.Size(), d.rootSize())
	}
	if err != nil {
		return err
	}
	to, err := os.OpenFile(d.Path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(to, d.rootStart()*sector), from)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	const raid = "A19D880F-05FC-4D3B-A006-743F0F84911E" // Linux RAID
	_, err = Run(ctx, "sfdisk", "--quiet", "--part-type", d.Path, "3", raid)
	return err
}

// Remove unmounts the disk and deletes its file.
func (d *Disk) Remove() error {
	return errors.Join(d.Unmount(), os.Remove(d.Path))
}

// A Part is where a file system lies on a disk, in sectors.
type Part struct{ Start, Size int64 }

// The parts that every disk has, and that of a separate /boot.
var (
	ESP      = Part{espStart, espSize}
	BootPart = Part{bootStart, bootSize}
)

func (d *Disk) rootStart() int64 {
	if d.bootUUID == "" {
		return bootStart
	}
	return bootStart + bootSize
}

func (d *Disk) rootSize() int64 {
	return d.sizeMB<<20 - (d.rootStart()+tailSize)*sector
}

// root is where the large file system lies: in the last partition, or where lvm2 says
// that its volume there is.
func (d *Disk) root(ctx context.Context) (Part, error) {
	if !d.onLVM {
		return Part{d.rootStart(), d.rootSize() / sector}, nil
	}
	g, err := openVolumeGroup(ctx, ubuntuGroup, Place{d.Path, d.rootStart() * sector, d.rootSize()})
	if err != nil {
		return Part{}, err
	}
	pieces, err := g.Pieces(ctx, ubuntuVolume)
	if err == nil && len(pieces) != 1 {
		err = fmt.Errorf("the volume lies in %d pieces", len(pieces))
	}
	if err := errors.Join(err, g.Close()); err != nil {
		return Part{}, err
	}
	return Part{d.rootStart() + pieces[0].Start, pieces[0].Length}, nil
}

// VolumeUUIDs are those of the volume group and of the volume that the large file system
// is on, without hyphens.
func (d *Disk) VolumeUUIDs(ctx context.Context) (group, volume string, err error) {
	g, err := openVolumeGroup(ctx, ubuntuGroup, Place{d.Path, d.rootStart() * sector, d.rootSize()})
	if err != nil {
		return "", "", err
	}
	group, volume, err = g.UUIDs(ctx, ubuntuVolume)
	return group, volume, errors.Join(err, g.Close())
}

func (d *Disk) partition(ctx context.Context) error {
	f, err := os.Create(d.Path)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(d.sizeMB<<20), f.Close()); err != nil {
		return err
	}
	table := fmt.Sprintf(`label: gpt
start=%d, size=%d, type=21686148-6449-6E6F-744E-656564454649, name=bios
start=%d, size=%d, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
`, biosStart, biosSize, espStart, espSize)
	if d.bootUUID != "" {
		table += fmt.Sprintf("start=%d, size=%d, type=BC13C2FF-59E6-4262-A352-B275FD6F7172, name=boot\n", bootStart, bootSize)
	}
	kind := "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
	if d.onLVM {
		kind = "E6D6D379-F507-44C2-A23C-238F2A3DF928"
	}
	table += fmt.Sprintf("start=%d, size=%d, type=%s, name=root\n", d.rootStart(), d.rootSize()/sector, kind)
	cmd := exec.CommandContext(ctx, "sfdisk", "--quiet", d.Path)
	cmd.Stdin = strings.NewReader(table)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sfdisk: %w: %s", err, tail(string(out), 500))
	}
	return nil
}

// format makes the large file system, and that of /boot.
func (d *Disk) format(ctx context.Context) error {
	if d.onLVM {
		if err := d.makeVolume(ctx); err != nil {
			return err
		}
	}
	var mkfs []string
	switch {
	case d.bootUUID != "":
		if err := d.formatPart(ctx, bootStart, bootSize*sector, "mkfs.ext4", "-q", "-F", "-U", d.bootUUID); err != nil {
			return err
		}
		mkfs = []string{"mkfs.ext4", "-q", "-F", "-O", "inline_data", "-U", d.UUID}
		if d.onLVM {
			mkfs = slices.Delete(mkfs, 3, 5) // GRUB need not be kept from reading it
		}
	case d.Type == "ext4":
		mkfs = []string{"mkfs.ext4", "-q", "-F", "-U", d.UUID}
	case d.Type == "xfs":
		mkfs = []string{"mkfs.xfs", "-q", "-f", "-m", "uuid=" + d.UUID}
	case d.Type == "btrfs":
		mkfs = []string{"mkfs.btrfs", "-q", "-f", "-U", d.UUID}
	default:
		return fmt.Errorf("no recipe for the file system %q", d.Type)
	}
	root, err := d.root(ctx)
	if err != nil {
		return err
	}
	return d.formatPart(ctx, root.Start, root.Size*sector, mkfs...)
}

// makeVolume makes the last partition a volume group, with one volume.
func (d *Disk) makeVolume(ctx context.Context) error {
	g, err := NewVolumeGroup(ctx, ubuntuGroup, nil, Place{d.Path, d.rootStart() * sector, d.rootSize()})
	if err != nil {
		return err
	}
	return errors.Join(g.Create(ctx, ubuntuVolume, "-l", "90%FREE"), g.Close())
}

// formatPart goes through a loop device with an offset: partition devices are
// not there on computers without udev, and on kernels that read no GPT.
func (d *Disk) formatPart(ctx context.Context, start, size int64, mkfs ...string) error {
	out, err := Run(ctx, "losetup", "--find", "--show",
		"--offset", strconv.FormatInt(start*sector, 10), "--sizelimit", strconv.FormatInt(size, 10), d.Path)
	if err != nil {
		return err
	}
	loop := strings.TrimSpace(out)
	_, err = Run(ctx, mkfs[0], append(mkfs[1:], loop)...)
	return errors.Join(err, exec.Command("losetup", "--detach", loop).Run())
}

// newUUID returns a random (version 4) UUID.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// grubDir is where /boot/grub is while the disk is mounted.
func (d *Disk) grubDir() string { return filepath.Join(d.mnt, "boot", "grub") }
