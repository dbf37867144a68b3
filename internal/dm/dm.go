// Package dm asks the kernel's device mapper for devices that verify or decrypt what is
// read of them, and what it has found. It is linked into the program that is loaded at
// every boot.
//
// The kernel's side is include/uapi/linux/dm-ioctl.h, and for the tables
// Documentation/admin-guide/device-mapper, verity.rst and dm-crypt.rst.
package dm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ControlPath is where the device mapper is asked; without it, the kernel has none,
// or has not loaded it.
const ControlPath = "/dev/mapper/control"

const (
	sector = 512
	// version is that of the interface which all kernels since 2.6 understand.
	version = 4
	// statusRoom is enough for the status of one device, or the names of some
	// thousand.
	statusRoom = 64 << 10
)

// A Control is the way to the device mapper.
type Control struct{ file *os.File }

// Open opens the way to the device mapper.
func Open() (*Control, error) {
	f, err := os.OpenFile(ControlPath, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("asking the device mapper: %w", err)
	}
	return &Control{f}, nil
}

// Close ends the asking; what was made stays.
func (c *Control) Close() error { return c.file.Close() }

// A Verity is a device that verifies another's blocks by a hash tree.
type Verity struct {
	Name string
	// Data and Hash are block devices, such as /dev/loop0.
	Data, Hash string
	// Size is how many bytes are verified; Block is the size of all blocks, and
	// Start the tree's first.
	Size, Block, Start int64
	// Root is the tree's root hash in hex.
	Root string
	// Report has the kernel log what does not match, and hand it out.
	Report bool
}

// table is what the kernel's target reads.
func (v Verity) table() string {
	options := ""
	if v.Report {
		options = " 1 ignore_corruption"
	}
	return fmt.Sprintf("1 %s %s %d %d %d %d sha256 %s -%s", v.Data, v.Hash, v.Block, v.Block, v.Size/v.Block, v.Start, v.Root, options)
}

// Verify makes a device and returns its path. It is there for as long as somebody
// uses it and Release was not called, and until its last user closes it after that.
func (c *Control) Verify(v Verity) (path string, err error) {
	path, err = c.make(v.Name, "", unix.DM_READONLY_FLAG, target{length: v.Size / sector, kind: "verity", params: v.table()})
	if err != nil {
		return "", fmt.Errorf("making the verified device %s of %s and %s: %w", v.Name, v.Data, v.Hash, err)
	}
	return path, nil
}

// A target is one line of a device's table; start and length are in sectors.
type target struct {
	start, length int64
	kind, params  string
}

// make makes a device and starts it. What fails leaves none.
func (c *Control) make(name, uuid string, flags uint32, table ...target) (path string, err error) {
	made, err := c.ask(unix.DM_DEV_CREATE, name, 0, request{uuid: uuid})
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = c.Release(name)
		}
	}()
	lines := encode(table)
	defer clear(lines) // there may be a key in it
	if _, err := c.ask(unix.DM_TABLE_LOAD, name, flags, request{targets: len(table), data: lines}); err != nil {
		return "", err
	}
	if _, err := c.ask(unix.DM_DEV_SUSPEND, name, 0, request{}); err != nil { // without the flag, it resumes
		return "", fmt.Errorf("starting it: %w", err)
	}
	return fmt.Sprintf("/dev/dm-%d", unix.Minor(header(made).Dev)), nil
}

// encode writes a table as the kernel reads it: each line says where the next begins.
func encode(table []target) (out []byte) {
	for _, t := range table {
		spec := unix.DmTargetSpec{Sector_start: uint64(t.start), Length: uint64(t.length)}
		copy(spec.Target_type[:], t.kind)
		const align = 8
		room := (len(t.params) + align) / align * align // with a zero at its end
		spec.Next = uint32(unix.SizeofDmTargetSpec + room)
		out = append(out, unsafe.Slice((*byte)(unsafe.Pointer(&spec)), unix.SizeofDmTargetSpec)...)
		out = append(out, t.params...)
		out = append(out, make([]byte, room-len(t.params))...)
	}
	return out
}

// Release removes a device now or when its last user closes it.
func (c *Control) Release(name string) error {
	if _, err := c.ask(unix.DM_DEV_REMOVE, name, unix.DM_DEFERRED_REMOVE, request{}); err != nil {
		return fmt.Errorf("letting go of the device %s: %w", name, err)
	}
	return nil
}

// Damaged reports whether a device has come across a block that is not what its
// tree says.
func (c *Control) Damaged(name string) (bool, error) {
	reply, err := c.ask(unix.DM_TABLE_STATUS, name, 0, request{data: make([]byte, statusRoom)})
	if err != nil {
		return false, fmt.Errorf("asking for the status of %s: %w", name, err)
	}
	h := header(reply)
	at := int(h.Data_start) + unix.SizeofDmTargetSpec
	if h.Target_count == 0 || at >= len(reply) {
		return false, nil
	}
	return bytes.HasPrefix(reply[at:], []byte("C")), nil // else V
}

// FoundDamaged returns those of the objects below devices that have come across such a
// block; the devices are called name0, name1 and so on, in the objects' order. What
// could not be asked is an error, beside what is known.
func FoundDamaged(name string, objects []string) (found []string, err error) {
	control, err := Open()
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for i, object := range objects {
		damaged, derr := control.Damaged(name + strconv.Itoa(i))
		if err = errors.Join(err, derr); damaged {
			found = append(found, object)
		}
	}
	return found, err
}

func header(b []byte) *unix.DmIoctl { return (*unix.DmIoctl)(unsafe.Pointer(&b[0])) }

// A request is what an ioctl is told besides which device it is about.
type request struct {
	uuid    string
	targets int
	data    []byte
}

// ask makes one request, with data behind its header, and returns the reply, which
// takes no more room.
func (c *Control) ask(ioctl uintptr, name string, flags uint32, r request) ([]byte, error) {
	if len(name) >= len(unix.DmIoctl{}.Name) || len(r.uuid) >= len(unix.DmIoctl{}.Uuid) {
		return nil, unix.ENAMETOOLONG
	}
	// of 8-byte words, so that the header lies as it must
	words := make([]uint64, (unix.SizeofDmIoctl+len(r.data)+7)/8)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), unix.SizeofDmIoctl+len(r.data))
	h := header(b)
	h.Version[0], h.Data_size, h.Data_start, h.Flags = version, uint32(len(b)), unix.SizeofDmIoctl, flags
	h.Target_count = uint32(r.targets)
	copy(h.Name[:], name)
	copy(h.Uuid[:], r.uuid)
	copy(b[unix.SizeofDmIoctl:], r.data)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, c.file.Fd(), ioctl, uintptr(unsafe.Pointer(h)))
	if ioctl == unix.DM_TABLE_LOAD {
		clear(b[unix.SizeofDmIoctl:]) // as above; the kernel has its own
	}
	if errno != 0 {
		return nil, errno
	}
	return b, nil
}
