package qemu

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/internal/program"
)

// A Network is what a machine reaches.
type Network string

// The networks that a machine may have.
const (
	// Alone is a machine without a network card.
	Alone Network = ""
	// Isolated has a card, is given an address, and reaches nothing; what is
	// forwarded to it reaches it.
	Isolated Network = "isolated"
	// Outside reaches what this computer reaches, by its addresses.
	Outside Network = "outside"
)

// Options say what machine to run: one that is given a kernel, or one whose firmware
// boots from its drives.
type Options struct {
	// Arch is the machine's architecture, in Go's words, "" for this computer's.
	Arch           string
	Kernel, Initrd string
	// Firmware boots from the first of Drives that boots, where there is no Kernel. Temp
	// is a folder for its variables.
	Firmware Firmware
	Drives   []Drive
	Temp     string
	// Restarts lets the machine restart; else it ends when it does.
	Restarts bool
	// Args are the kernel's arguments, as deployment.Words returns them.
	Args []string
	// Disk is a raw disk image, "" for a machine without one.
	Disk string
	// Memory is in bytes.
	Memory int64
	CPUs   int
	// Accel is what Accelerator returned; TCG if empty.
	Accel   Accel
	Network Network
	// SSH is a port of this computer's loopback that leads to the machine's port
	// 22, 0 for none. It takes a network.
	SSH int
	// Window shows the machine's screen in a window.
	Window bool
	// Console receives what the machine prints on its serial port, as it comes.
	// Input is what is typed there, and not waited for when the machine ends.
	// Both may be nil.
	Console io.Writer
	Input   io.Reader
}

// Installed reports that a program is missing that machines of an architecture, "" for
// this computer's, and their disks take.
func Installed(arch string) error {
	b, err := boardOf(arch)
	if err != nil {
		return err
	}
	var problems []error
	for _, p := range []struct{ name, debian string }{{b.program, b.debian}, {"mke2fs", "e2fsprogs"}, {"debugfs", "e2fsprogs"}} {
		if _, err := program.Find(p.name); err != nil {
			problems = append(problems, fmt.Errorf("run a virtual machine: %s is not installed; Debian and Ubuntu have it in the package %s", p.name, p.debian))
		}
	}
	return errors.Join(problems...)
}

// command is QEMU's command line.
func (o Options) command(b board) []string {
	args := []string{
		b.program, "-machine", b.machine, "-m", strconv.FormatInt(o.Memory>>20, 10) + "M", "-smp", strconv.Itoa(max(o.CPUs, 1)),
		"-nodefaults", "-no-user-config", "-device", "virtio-rng-pci",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
	}
	if !o.Restarts {
		args = append(args, "-no-reboot")
	}
	if o.Kernel != "" {
		args = append(args, "-kernel", o.Kernel, "-append", commandLine(o.Args))
	}
	args = slices.Concat(args, b.screen, b.processor(o.Accel))
	if o.Initrd != "" {
		args = append(args, "-initrd", o.Initrd)
	}
	if o.Disk != "" {
		args = append(args, "-drive", "if=none,id=disk,format=raw,cache=unsafe,discard=unmap,file="+escape(o.Disk), "-device", "virtio-blk-pci,drive=disk")
	}
	args = append(args, o.network()...)
	if o.Window {
		return append(append(args, b.windowed...), "-display", "gtk")
	}
	return append(args, "-display", "none", "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
}

func (o Options) network() []string {
	if o.Network == Alone {
		return []string{"-nic", "none"}
	}
	card := "user,model=virtio-net-pci"
	if o.Network == Isolated {
		card += ",restrict=on"
	}
	if o.SSH != 0 {
		card += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:22", o.SSH)
	}
	return []string{"-nic", card}
}

// commandLine encloses arguments with spaces in quotes, as a boot loader does.
func commandLine(args []string) string {
	var words []string
	for _, arg := range args {
		if strings.Contains(arg, " ") {
			arg = `"` + arg + `"`
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// escape writes a value as QEMU's options have it, which are separated by
// commas.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }
