package assemble

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/mdraid"
)

// An Array is a mirror of the kernel's md that is to run.
type Array struct {
	uuid    string
	members map[string]*mdraid.Member // by device name
	running string                    // the device, if the kernel has started it
}

// NewArray takes an array's UUID.
func NewArray(uuid string) *Array {
	return &Array{uuid: uuid, members: map[string]*mdraid.Member{}}
}

// Modules of the kernel's that are needed.
func (a *Array) Modules() []string { return []string{"md_mod", "raid1"} }

// Offer looks at a block device and reports whether all are there.
func (a *Array) Offer(name string) bool {
	d, err := open(name)
	if err != nil {
		return a.complete()
	}
	defer d.Close()
	m, err := mdraid.Read(d, d.size)
	if err != nil || m.UUID != a.uuid {
		return a.complete()
	}
	holders, _ := os.ReadDir(filepath.Join(classDir, name, "holders"))
	for _, h := range holders {
		if strings.HasPrefix(h.Name(), "md") { // a kernel that starts arrays by itself has
			a.running = h.Name()
		}
	}
	a.members[name] = m
	return a.complete()
}

// complete reports that nothing is to be waited for: all of the mirror's halves are
// there that were the last time.
func (a *Array) complete() bool {
	newest := a.newest()
	return a.running != "" || newest != nil && (newest.Check() != nil || len(a.roles(newest)) >= newest.Active)
}

// newest is what the member says that was written last.
func (a *Array) newest() (newest *mdraid.Member) {
	for _, m := range a.members {
		if m.Role >= 0 && (newest == nil || m.Events > newest.Events) {
			newest = m
		}
	}
	return newest
}

// roles are the places in the array that are taken by members which md will not leave
// out: it lets them be one event behind, where the last write was cut.
func (a *Array) roles(newest *mdraid.Member) map[int]bool {
	roles := map[int]bool{}
	for _, m := range a.members {
		if m.Role >= 0 && m.Events+1 >= newest.Events {
			roles[m.Role] = true
		}
	}
	return roles
}

// Enough reports whether it can be made without what has not come: any half of a mirror
// is all of it.
func (a *Array) Enough() bool { return a.newest() != nil }

// String says what there is of it.
func (a *Array) String() string {
	newest := a.newest()
	if newest == nil {
		return "none of its members has come"
	}
	return fmt.Sprintf("%d of %d members have come", len(a.roles(newest)), newest.Disks)
}

// Make starts the array. Nothing is written to its members, and none is synchronised,
// until something is written to it.
func (a *Array) Make() (string, error) {
	if a.running != "" {
		return path(a.running), nil
	}
	newest := a.newest()
	if newest == nil {
		return "", errors.New("none of its members that have come is in use")
	}
	if err := newest.Check(); err != nil {
		return "", err
	}
	restore, err := startReadOnly()
	if err != nil {
		return "", err
	}
	defer restore()
	name, err := newArray(newest.Number)
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(path(name), os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := a.start(int(f.Fd()), newest); err != nil {
		_ = control(int(f.Fd()), stopArray)
		return "", fmt.Errorf("starting the array %s: %w", path(name), err)
	}
	return path(name), nil
}

func (a *Array) start(fd int, newest *mdraid.Member) error {
	version := make([]uint32, 18) // mdu_array_info_t: which superblocks are to be read
	version[0], version[1] = uint32(newest.Major), uint32(newest.Minor)
	if err := control(fd, setArrayInfo, version...); err != nil {
		return fmt.Errorf("naming metadata %d.%d: %w", newest.Major, newest.Minor, err)
	}
	added := false
	var wrong error
	for name, m := range a.members {
		if m.Events+1 < newest.Events || m.Major != newest.Major || m.Minor != newest.Minor {
			continue // left behind: it is synchronised when it is added by who knows it
		}
		major, minor, err := number(name)
		if err == nil {
			err = control(fd, addNewDisk, 0, major, minor, 0, 0) // mdu_disk_info_t
		}
		if err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("adding %s: %w", path(name), err))
			continue
		}
		added = true
	}
	if !added {
		return wrong
	}
	if err := control(fd, runArray); err != nil {
		return errors.Join(wrong, fmt.Errorf("running it: %w", err))
	}
	return nil
}

// Requests of include/uapi/linux/raid/md_u.h.
const (
	addNewDisk   = 0x40140921
	setArrayInfo = 0x40480923
	runArray     = 0x400c0930
	stopArray    = 0x0932
)

// control asks md; words are what the request reads, none for nothing.
func control(fd int, request uintptr, words ...uint32) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(unsafe.SliceData(words)))); errno != 0 {
		return errno
	}
	return nil
}

// modParameters are md's.
const modParameters = "/sys/module/md_mod/parameters"

// startReadOnly has arrays start so that the first write makes them writable, until
// restore.
func startReadOnly() (restore func(), err error) {
	file := filepath.Join(modParameters, "start_ro")
	was, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return func() { _ = os.WriteFile(file, was, 0) }, os.WriteFile(file, []byte("1"), 0)
}

// newArray makes a device that is nothing yet: the wanted one, or one from above, where
// mdadm(8) too counts down from.
func newArray(wanted int) (string, error) {
	const highest = 127
	numbers := []int{}
	if wanted >= 0 {
		numbers = append(numbers, wanted)
	}
	for n := highest; n > highest-16; n-- {
		numbers = append(numbers, n)
	}
	var err error
	for _, n := range numbers {
		name := fmt.Sprintf("md%d", n)
		if err = os.WriteFile(filepath.Join(modParameters, "new_array"), []byte(name), 0); err == nil {
			return name, nil
		}
		if !errors.Is(err, unix.EEXIST) {
			break
		}
	}
	return "", fmt.Errorf("making a device for the array: %w", err)
}
