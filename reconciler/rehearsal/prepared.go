package rehearsal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/processor"
	"github.com/gitboot/gitboot/qemu"
)

// A Prepared is a machine that is about to be started. It needs nothing of the stage any
// more: its disk is a copy, and its kernel and initramfs are open.
type Prepared struct {
	deployment Deployment
	id, disk   string
	arch       string
	judged     bool
	options    Options
	kernel     *os.File
	initramfs  *os.File
	discard    func() error
}

// Prepare makes all that a machine takes: one that is judged, or one for people.
func Prepare(ctx context.Context, d Deployment, judged bool, o Options) (p *Prepared, err error) {
	if judged {
		d.Manifest = alone(d.Manifest)
	}
	p = &Prepared{deployment: d, judged: judged, options: o, discard: func() error { return nil }}
	defer func() {
		if err != nil {
			err, p = errors.Join(err, p.Close()), nil
		}
	}()
	if p.id, err = identify(d.Manifest); err != nil {
		return p, err
	}
	if p.kernel, err = os.Open(d.Object(d.Manifest.Kernel)); err != nil {
		return p, err
	}
	if p.arch, err = architecture(p.kernel); err != nil {
		return p, err
	}
	if err := qemu.Installed(p.arch); err != nil {
		return p, err
	}
	if p.initramfs, err = os.Open(d.Object(d.Manifest.Initramfs)); err != nil {
		return p, err
	}
	disk, discard, err := d.disk(ctx, p.id, o)
	if err == nil {
		p.disk, p.discard = disk, discard
	}
	return p, err
}

// architecture is what a kernel is for, "" if it does not say.
func architecture(kernel *os.File) (string, error) {
	return processor.OfKernel(io.NewSectionReader(kernel, 0, math.MaxInt64))
}

// alone is a deployment that nobody outside knows of, who could confirm it.
func alone(m *deployment.Manifest) *deployment.Manifest {
	if m.Health == nil || m.Health.Confirm == "" {
		return m
	}
	health, own := *m.Health, *m
	health.Confirm, health.ConfirmWithin, health.ConfirmURL = "", 0, ""
	own.Health = &health
	return &own
}

// Close throws away what was made.
func (p *Prepared) Close() error {
	err := p.discard()
	for _, f := range []*os.File{p.kernel, p.initramfs} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// Run boots a deployment until the machine ends, or ctx does.
func Run(ctx context.Context, d Deployment, o Options) error {
	p, err := Prepare(ctx, d, false, o)
	if err != nil {
		return err
	}
	return errors.Join(p.Run(ctx), p.Close())
}

// Run runs the machine until it ends, or ctx does.
func (p *Prepared) Run(ctx context.Context) error {
	m, err := p.machine(ctx)
	if err != nil {
		return err
	}
	console := qemu.NewConsole(p.options.Log)
	m.Console = p.options.console(console)
	return errors.Join(qemu.Run(ctx, m), console.Err())
}

// machine is what is started.
func (p *Prepared) machine(ctx context.Context) (m qemu.Options, err error) {
	o, kernel := p.options, opened(p.kernel)
	accel := qemu.Accelerator(ctx, p.arch, kernel, o.Known)
	args, err := arguments(p.deployment, p.id, p.judged, accel, consoles(qemu.SerialPort(p.arch), p.deployment.Manifest.KernelArgs, o.Window))
	if err == nil && o.Ready != nil {
		err = o.Ready()
	}
	return qemu.Options{
		Arch: p.arch, Kernel: kernel, Initrd: opened(p.initramfs), Args: args, Disk: p.disk,
		Memory: cmp.Or(o.Memory, DefaultMemory), CPUs: cmp.Or(o.CPUs, defaultCPUs), Accel: accel,
		Network: o.Network, SSH: o.SSH, Window: o.Window, Input: o.Input,
	}, err
}

// opened leads children of this program to a file, whatever became of its name.
func opened(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// console is where a machine's serial port leads.
func (o Options) console(kept *qemu.Console) io.Writer {
	if o.Screen == nil {
		return kept
	}
	return io.MultiWriter(kept, o.Screen)
}
