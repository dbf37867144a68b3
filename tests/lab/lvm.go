package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A VolumeGroup is one of LVM's. lvm2 writes it, where the kernel need not have a device
// mapper; so what is on a volume is written by what lvm2 reports of it, too.
type VolumeGroup struct {
	Name  string
	loops []string
}

// A Place is where a physical volume lies: a file, or a part of one.
type Place struct {
	Path         string
	Offset, Size int64 // bytes; 0 for all of it
}

// What Ubuntu's installer calls them.
const (
	ubuntuGroup  = "ubuntu-vg"
	ubuntuVolume = "ubuntu-lv"
)

// NewVolumeGroup makes one of these places, with options of vgcreate's.
func NewVolumeGroup(ctx context.Context, name string, options []string, places ...Place) (*VolumeGroup, error) {
	g, err := openVolumeGroup(ctx, name, places...)
	if err != nil {
		return nil, err
	}
	if _, err := g.LVM(ctx, "vgcreate", slices.Concat(options, []string{name}, g.loops)...); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// openVolumeGroup is one that is there, or will be.
func openVolumeGroup(ctx context.Context, name string, places ...Place) (*VolumeGroup, error) {
	g := &VolumeGroup{Name: name}
	for _, p := range places {
		args := []string{"--find", "--show", "--offset", strconv.FormatInt(p.Offset, 10)}
		if p.Size > 0 {
			args = append(args, "--sizelimit", strconv.FormatInt(p.Size, 10))
		}
		out, err := Run(ctx, "losetup", append(args, p.Path)...)
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.loops = append(g.loops, strings.TrimSpace(out))
	}
	return g, nil
}

// LVM runs one of its commands, which sees the group's devices alone.
func (g *VolumeGroup) LVM(ctx context.Context, command string, args ...string) (string, error) {
	filter := ""
	for _, loop := range g.loops {
		filter += fmt.Sprintf(`"a|^%s$|", `, loop)
	}
	config := `devices { use_devicesfile=0 filter=[` + filter + `"r|.*|"] obtain_device_list_from_udev=0 external_device_info_source="none" }
global { use_lvmpolld=0 notify_dbus=0 } activation { udev_sync=0 udev_rules=0 monitoring=0 } backup { backup=0 archive=0 }`
	env := append(os.Environ(), "LVM_SUPPRESS_FD_WARNINGS=1")
	return runEnv(ctx, env, "lvm", append([]string{command, "--driverloaded", "n", "--config", config}, args...)...)
}

// Create makes a volume. It is not activated, nor is anything on it.
func (g *VolumeGroup) Create(ctx context.Context, name string, args ...string) error {
	_, err := g.LVM(ctx, "lvcreate", append([]string{"-an", "-Zn", "-Wn", "-n", name, g.Name}, args...)...)
	return err
}

// UUIDs are those of the group and of a volume, without hyphens.
func (g *VolumeGroup) UUIDs(ctx context.Context, volume string) (group, id string, err error) {
	out, err := g.LVM(ctx, "lvs", "--noheadings", "-o", "vg_uuid,lv_uuid", g.Name+"/"+volume)
	words := strings.Fields(strings.ReplaceAll(out, "-", ""))
	if err == nil && len(words) != 2 {
		err = fmt.Errorf("lvs says %q", out)
	}
	if err != nil {
		return "", "", err
	}
	return words[0], words[1], nil
}

// A Piece is a part of a volume that lies in one place: sectors of 512 bytes of a
// loop device.
type Piece struct {
	Device        string
	Start, Length int64
}

// Pieces are where a volume lies, from its beginning to its end.
func (g *VolumeGroup) Pieces(ctx context.Context, volume string) (pieces []Piece, err error) {
	starts := map[string]int64{}
	out, err := g.LVM(ctx, "pvs", "--noheadings", "--units", "s", "--nosuffix", "-o", "pv_name,pe_start")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(out) {
		w := strings.Fields(line)
		if starts[w[0]], err = strconv.ParseInt(w[1], 10, 64); err != nil {
			return nil, err
		}
	}
	out, err = g.LVM(ctx, "lvs", "--segments", "--noheadings", "--units", "s", "--nosuffix", "-O", "seg_start", "-o", "vg_extent_size,stripe_size,seg_pe_ranges", g.Name+"/"+volume)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(out) {
		w := strings.Fields(line)
		extent, err1 := strconv.ParseInt(w[0], 10, 64)
		chunk, err2 := strconv.ParseInt(w[1], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		more, err := striped(w[2:], extent, chunk, starts)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, more...)
	}
	return pieces, nil
}

// striped returns a segment's pieces, in the order in which they are gone round.
func striped(ranges []string, extent, chunk int64, starts map[string]int64) (pieces []Piece, err error) {
	var whole []Piece
	for _, r := range ranges {
		device, extents, _ := strings.Cut(r, ":")
		from, to, _ := strings.Cut(extents, "-")
		first, err1 := strconv.ParseInt(from, 10, 64)
		last, err2 := strconv.ParseInt(to, 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		whole = append(whole, Piece{device, starts[device] + first*extent, (last - first + 1) * extent})
	}
	if len(whole) == 1 {
		return whole, nil
	}
	for at := int64(0); at < whole[0].Length; at += chunk {
		for _, w := range whole {
			pieces = append(pieces, Piece{w.Device, w.Start + at, chunk})
		}
	}
	return pieces, nil
}

// Write fills a volume from a file.
func (g *VolumeGroup) Write(ctx context.Context, volume, file string) error {
	pieces, err := g.Pieces(ctx, volume)
	if err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	open := map[string]*os.File{}
	for _, p := range pieces {
		f := open[p.Device]
		if f == nil {
			if f, err = os.OpenFile(p.Device, os.O_WRONLY, 0); err != nil {
				break
			}
			open[p.Device] = f
		}
		if _, err = io.CopyN(io.NewOffsetWriter(f, p.Start*sector), in, p.Length*sector); err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) { // the file is shorter than the volume
		err = nil
	}
	for _, f := range open {
		err = errors.Join(err, f.Sync(), f.Close())
	}
	return err
}

// Close lets go of the files, in which the group stays.
func (g *VolumeGroup) Close() error {
	var err error
	for _, loop := range g.loops {
		_, detach := Run(context.Background(), "losetup", "--detach", loop)
		err = errors.Join(err, detach)
	}
	g.loops = nil
	return err
}

// Device is the loop device of the place with an index, while the group is not closed.
func (g *VolumeGroup) Device(i int) string { return g.loops[i] }
