package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
)

// A Firmware is what starts GRUB.
type Firmware string

// The firmwares of x86 machines.
const (
	BIOS Firmware = "bios"
	UEFI Firmware = "uefi"
	// SecureUEFI starts only what Debian's key for tests has signed (SnakeoilKey).
	SecureUEFI Firmware = "uefi-secure"
	// SetupUEFI starts everything, until it is told whom to trust.
	SetupUEFI Firmware = "uefi-setup"
	// MicrosoftUEFI starts only what Microsoft has signed, as most hardware does.
	MicrosoftUEFI Firmware = "uefi-microsoft"
)

// A Bus is how the machine sees its disk.
type Bus string

// The buses that machines have.
const (
	Virtio Bus = "virtio"
	NVMe   Bus = "nvme"
	AHCI   Bus = "ahci"
	SCSI   Bus = "scsi"
	USB    Bus = "usb"
)

// VMOptions says what machine to start. Disk, or Kernel, must be set.
type VMOptions struct {
	// Disk is a raw disk image.
	Disk string
	// Stick is another one, which the firmware starts from if it does not from Disk,
	// and which nothing is written to. StickBus is Virtio if empty; one on USB can be
	// pulled out.
	Stick    string
	StickBus Bus
	// More are raw disk images, too, that the firmware starts from last.
	More []string
	// Firmware is BIOS if empty.
	Firmware Firmware
	// Bus is Virtio if empty.
	Bus Bus
	// USBKeyboard is the only one, in place of the one that a PC has always had.
	USBKeyboard bool
	// MemoryMB is 1024 if 0.
	MemoryMB int
	// CPUs is 1 if 0: an emulated machine with more spends a third of its time on
	// what they have to tell each other.
	CPUs int
	// Snapshot leaves the image file as it is: what the machine writes is
	// lost when it stops.
	Snapshot bool
	// Flushes has the image file synced when the machine flushes its disk, which
	// otherwise takes time for nothing.
	Flushes bool
	// MAC is that of a network card, none without it. Behind it is a network of the
	// machine's own, with DHCP, where this computer's loopback is 10.0.2.2.
	MAC string
	// Kernel, Initrd and Append boot a kernel without firmware or GRUB.
	Kernel, Initrd, Append string
	// Accel is what Accelerator returned; software emulation if empty.
	Accel Accel
	// Console receives what the machine prints, as it comes. May be nil.
	Console io.Writer
}

// A VM is a running machine.
type VM struct {
	*Console
	temp   string
	exited chan struct{}
	err    error // of QEMU; read it after exited is closed

	mu      sync.Mutex
	stopped bool
	process *os.Process // QEMU's
	stdin   io.WriteCloser
	monitor *monitor // nil of a machine that stays in one process
}

// StartVM starts a machine. It runs until it powers off, until Stop, until
// ctx is done or until this process ends, whatever comes first.
//
// Each time that it restarts it goes on in another process, because QEMU, which
// emulates a processor by translating, takes longer to let go of what it translated
// than to begin anew: with what is left of a booted Debian, loading the next kernel
// takes five times as long. A machine whose writes are lost with its process stays in
// it; one that was started without a boot loader ends.
func StartVM(ctx context.Context, o VMOptions) (*VM, error) {
	temp, err := os.MkdirTemp("", "gitboot-vm-")
	if err != nil {
		return nil, err
	}
	vm := &VM{Console: newConsole(o.Console), temp: temp, exited: make(chan struct{})}
	if err := vm.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start the machine: %w", err), os.RemoveAll(temp))
	}
	return vm, nil
}

func (vm *VM) start(ctx context.Context, o VMOptions) error {
	args, err := qemuArgs(o, vm.temp)
	if err != nil {
		return err
	}
	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the thread that forked ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for again := true; again; {
			again, vm.err = vm.live(ctx, args, o.Snapshot || o.Kernel != "", started)
		}
		vm.Console.end()
		close(vm.exited)
	}()
	return <-started
}

// live runs QEMU to its end, tells once whether it began, and reports whether the
// machine is to go on.
func (vm *VM) live(ctx context.Context, args []string, stays bool, started chan<- error) (again bool, err error) {
	reset := func() bool { return false }
	var monitor *monitor
	if !stays {
		if monitor, err = newMonitor(filepath.Join(vm.temp, "monitor")); err != nil {
			return false, vm.tell(started, err)
		}
		defer monitor.Close()
		args, reset = append(args[:len(args):len(args)], monitor.args()...), monitor.reset
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = vm.Console
	stdout, err1 := cmd.StdoutPipe()
	stdin, err2 := cmd.StdinPipe()
	if err := errors.Join(err1, err2); err != nil {
		return false, vm.tell(started, err)
	}
	if err := vm.begin(cmd, stdin, monitor); err != nil {
		return false, vm.tell(started, err)
	}
	_ = vm.tell(started, nil)
	_, copyErr := io.Copy(vm.Console, stdout)
	err = errors.Join(cmd.Wait(), copyErr)
	return err == nil && reset(), err
}

// tell answers who waits for the machine's start, the first time.
func (vm *VM) tell(started chan<- error, err error) error {
	select {
	case started <- err:
	default:
	}
	return err
}

// begin starts a process, unless the machine was stopped meanwhile.
func (vm *VM) begin(cmd *exec.Cmd, stdin io.WriteCloser, m *monitor) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.stopped {
		return errors.New("the machine was stopped while it restarted")
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	vm.process, vm.stdin, vm.monitor = cmd.Process, stdin, m
	return nil
}

// Stop pulls the plug and waits until QEMU is gone. Stopped already, it does
// nothing.
func (vm *VM) Stop() error {
	vm.mu.Lock()
	vm.stopped = true
	err := vm.process.Kill()
	vm.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-vm.exited
	return os.RemoveAll(vm.temp)
}

// PullStick pulls the stick out, without asking the machine.
func (vm *VM) PullStick(ctx context.Context) error {
	vm.mu.Lock()
	m := vm.monitor
	vm.mu.Unlock()
	if err := m.unplug(ctx, stickID); err != nil {
		return fmt.Errorf("pull the stick out: %w", err)
	}
	return nil
}

// Wait waits until the machine has powered itself off.
func (vm *VM) Wait(ctx context.Context) error {
	select {
	case <-vm.exited:
	case <-ctx.Done():
		return fmt.Errorf("wait for the machine to power off: %w; its console ended with:\n%s", ctx.Err(), vm.Tail(20))
	}
	if vm.err != nil {
		return fmt.Errorf("qemu: %w: %s", vm.err, vm.Tail(5))
	}
	return os.RemoveAll(vm.temp)
}

// Send types text on the serial console.
func (vm *VM) Send(text string) error {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	_, err := io.WriteString(vm.stdin, text)
	return err
}

func qemuArgs(o VMOptions, temp string) ([]string, error) {
	args := []string{
		"-machine", "q35", "-m", strconv.Itoa(cmp.Or(o.MemoryMB, 1024)), "-smp", strconv.Itoa(cmp.Or(o.CPUs, 1)),
		"-nodefaults", "-vga", "std", "-display", "none", "-no-user-config",
		"-serial", "stdio", "-device", "virtio-rng-pci",
	}
	args = append(args, o.Accel.Args()...)
	if o.MAC != "" {
		args = append(args, "-nic", "user,model=virtio-net-pci,mac="+o.MAC)
	}
	if o.USBKeyboard {
		args = append(args, "-machine", "i8042=off", "-device", "qemu-xhci,id=keys", "-device", "usb-kbd,bus=keys.0")
	}
	if o.Firmware != "" && o.Firmware != BIOS {
		firmware, err := uefiArgs(temp, o.Firmware)
		if err != nil {
			return nil, err
		}
		args = append(args, firmware...)
	}
	if o.Kernel != "" {
		args = append(args, "-kernel", o.Kernel, "-append", o.Append, "-no-reboot")
		if o.Initrd != "" {
			args = append(args, "-initrd", o.Initrd)
		}
	}
	if o.Disk == "" {
		return args, nil
	}
	device, err := o.Bus.devices()
	stick, stickErr := stickArgs(o)
	return slices.Concat(args, driveArgs(o), device, stick, moreArgs(o)), errors.Join(err, stickErr)
}

func driveArgs(o VMOptions) []string {
	cache := "unsafe"
	if o.Flushes {
		cache = "writeback"
	}
	drive := "if=none,id=disk,format=raw,discard=unmap,cache=" + cache + ",file=" + o.Disk
	if o.Snapshot {
		drive += ",snapshot=on"
	}
	return []string{"-drive", drive}
}

// stickID is the stick's device.
const stickID = "stick"

func stickArgs(o VMOptions) ([]string, error) {
	if o.Stick == "" {
		return nil, nil
	}
	args := []string{"-drive", "if=none,id=stickfile,format=raw,readonly=on,file=" + o.Stick}
	with := "drive=stickfile,bootindex=2,id=" + stickID
	switch o.StickBus {
	case "", Virtio:
		return append(args, "-device", "virtio-blk-pci,"+with), nil
	case USB:
		return append(args, "-device", "qemu-xhci", "-device", "usb-storage,"+with), nil
	}
	return nil, fmt.Errorf("a stick is not on the bus %q", o.StickBus)
}

func moreArgs(o VMOptions) (args []string) {
	for i, file := range o.More {
		id := fmt.Sprintf("more%d", i)
		// OVMF connects what has an index to boot from, and GRUB sees no other disk
		args = append(args, "-drive", "if=none,id="+id+",format=raw,cache=unsafe,file="+file, "-device", fmt.Sprintf("virtio-blk-pci,drive=%s,bootindex=%d", id, 3+i))
	}
	return args
}

func (b Bus) devices() ([]string, error) {
	switch b {
	case "", Virtio:
		return []string{"-device", "virtio-blk-pci,drive=disk,bootindex=1"}, nil
	case NVMe:
		return []string{"-device", "nvme,drive=disk,serial=lab,bootindex=1"}, nil
	case SCSI:
		return []string{"-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=disk,bootindex=1"}, nil
	case AHCI:
		return []string{"-device", "ahci,id=ahci", "-device", "ide-hd,drive=disk,bus=ahci.0,bootindex=1"}, nil
	case USB:
		return []string{"-device", "qemu-xhci", "-device", "usb-storage,drive=disk,bootindex=1"}, nil
	}
	return nil, fmt.Errorf("there is no disk bus %q", b)
}

// SnakeoilKey and SnakeoilCertificate are what SecureUEFI trusts; the key's passphrase
// is snakeoil.
const (
	SnakeoilKey         = "/usr/share/ovmf/PkKek-1-snakeoil.key"
	SnakeoilCertificate = "/usr/share/ovmf/PkKek-1-snakeoil.pem"
)

// ovmf is where Debian has it.
const ovmf = "/usr/share/OVMF"

// uefiArgs gives the machine Debian's OVMF and variables of its own.
func uefiArgs(temp string, f Firmware) ([]string, error) {
	code, kind, more := "4M", "4M", []string(nil)
	switch f {
	case SecureUEFI:
		code, kind = "4M.snakeoil", "4M.snakeoil"
	case MicrosoftUEFI:
		code, kind = "4M.ms", "4M.ms"
	case SetupUEFI:
		code = "4M.secboot"
	}
	if f != UEFI {
		more = []string{"-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"}
	}
	vars, err := os.ReadFile(filepath.Join(ovmf, "OVMF_VARS_"+kind+".fd"))
	if err != nil {
		return nil, fmt.Errorf("%w; run tests/deps.sh demo", err)
	}
	mine := filepath.Join(temp, "vars.fd")
	if err := os.WriteFile(mine, vars, 0o600); err != nil {
		return nil, err
	}
	return append(more,
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+filepath.Join(ovmf, "OVMF_CODE_"+code+".fd"),
		"-drive", "if=pflash,unit=1,format=raw,file="+mine,
	), nil
}
