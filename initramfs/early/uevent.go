package early

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A uevent is the kernel's message that a device came, changed or went.
type uevent map[string]string

// listen opens the kernel's uevent socket. It is opened before devices are
// looked for in /sys, so that none is missed in between.
func listen() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return 0, fmt.Errorf("opening the uevent socket: %w", err)
	}
	// a burst of events must not be lost; the kernel caps it if it must
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("listening to uevents: %w", err)
	}
	return fd, nil
}

// receive passes events on.
func receive(fd int, events chan<- uevent) {
	buf := make([]byte, 16<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case err == unix.EINTR:
		case err == unix.ENOBUFS:
			// events were lost: look at everything again
			events <- uevent{"SUBSYSTEM": "block"}
		case err != nil || n == 0:
			return
		default:
			events <- parseUevent(string(buf[:n]))
		}
	}
}

// parseUevent reads "add@/devices/…\0KEY=value\0…".
func parseUevent(text string) uevent {
	e := make(uevent)
	for field := range strings.SplitSeq(text, "\x00") {
		if key, value, ok := strings.Cut(field, "="); ok {
			e[key] = value
		}
	}
	return e
}

// coldplug asks for the drivers of all devices that were there before the
// socket was. It looks at those buses only that the initramfs has drivers
// for, the usual homes of disks first.
func (m *modules) coldplug() {
	for _, bus := range m.buses() {
		dir := filepath.Join("/sys/bus", bus, "devices")
		names, _ := os.ReadDir(dir) // a kernel without this bus
		for _, device := range names {
			alias, err := os.ReadFile(filepath.Join(dir, device.Name(), "modalias"))
			if err == nil {
				m.request(strings.TrimSuffix(string(alias), "\n"))
			}
		}
	}
}

func (m *modules) buses() []string {
	buses := []string{"virtio", "pci", "vmbus", "xen", "scsi", "usb", "mmc", "acpi", "platform", "amba", "i2c", "spi"}
	have := make(map[string]bool)
	for _, a := range m.index.Aliases {
		bus, _, _ := strings.Cut(a.Pattern, ":")
		have[strings.TrimSuffix(bus, "*")] = true
	}
	have["platform"] = have["platform"] || have["of"] || have["acpi"]
	for _, bus := range []string{"amba", "i2c", "spi"} { // whose devices a device tree names by what they are
		have[bus] = have[bus] || have["of"]
	}
	return slices.DeleteFunc(buses, func(bus string) bool { return !have[bus] })
}
