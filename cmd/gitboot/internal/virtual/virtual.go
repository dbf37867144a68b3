// Package virtual is the command that boots what is staged in a virtual machine.
package virtual

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/span"
	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
	"github.com/gitboot/gitboot/reconciler/state"
)

// A Site is what the command is given of gitboot's other flags.
type Site struct {
	// Open makes a reconciler for work on a stage that is there.
	Open func(*cobra.Command, *screen.Display) (*reconciler.Reconciler, error)
	// Generations completes names of generations.
	Generations cobra.CompletionFunc
}

// flags are the command's own.
type flags struct {
	Hardware
	window, untilGood, json bool
	secureBoot              bool
	keep, timeout           string
	firmware, cdrom, arch   string
	ssh                     int
}

const long = `vm boots what is staged, as the boot menu would, on a disk that holds nothing else and
is thrown away. Nothing on this machine changes: the stage is only read.

IMAGE is the newest generation of an image; without one, or with this machine's own
name, it is what would boot next. Its serial console is here: what you type goes there,
and Ctrl-] pressed three times within a second pulls the plug. Where standard input or
output is no terminal, what the machine prints is printed. It ends when the machine
powers off or restarts.

The kernel gets the entry's own arguments. What is left out: fstab and crypttab, whose
disks are not there. There is no network; with --ssh the machine's sshd is reached
(ssh -p PORT 127.0.0.1), and with --network the machine reaches what this one does.

FILE is a disk that was made (gitboot disk image, raw or qcow2) or a medium (gitboot
disk iso). It boots as on its own machine: of the architecture that it has a boot loader
for, by firmware and boot loader, and again when it restarts. What it writes is thrown
away, unless --keep names that very file. --cdrom puts a medium into the machine, which
is booted if the disk boots nothing.

--until-good boots it as a deployment on trial and ends when it is judged by the
machine's health: the command exits with 1 if it is not good.`

const examples = `  gitboot vm
  gitboot vm desktop:12 --memory 4GB --window
  gitboot vm router --ssh 2222 --network
  gitboot vm desktop --until-good --json
  gitboot vm laptop.img --firmware bios
  gitboot vm laptop.img --secure-boot
  gitboot vm board.img --arch arm64
  gitboot vm blank.img --cdrom laptop.iso --keep blank.img`

// New returns the command.
func New(s Site) *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use: "vm [MACHINE | IMAGE[:GENERATION] | FILE]", Short: "Boot what is staged, or a disk, in a virtual machine", Long: long, Example: examples,
		Args: usage.Args(cobra.MaximumNArgs(1)), ValidArgsFunction: s.Generations,
	}
	c.Flags().BoolVar(&f.window, "window", false, "show the machine's screen in a window")
	f.Bind(c.Flags(), "")
	c.Flags().BoolVar(&f.untilGood, "until-good", false, "end when the machine is judged by its health")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON with stable fields; with --until-good")
	c.Flags().StringVar(&f.keep, "keep", "", "keep the disk in `FILE`, and boot it again from there")
	c.Flags().StringVar(&f.firmware, "firmware", string(qemu.UEFI), "what boots a disk: uefi, bios, secure-uefi, which boots what its maker trusts, or setup-uefi, which trusts whom the disk tells it")
	c.Flags().BoolVar(&f.secureBoot, "secure-boot", false, "boot a disk with Secure Boot on, as hardware does that is sold: short for --firmware secure-uefi")
	c.Flags().StringVar(&f.arch, "arch", "", "the architecture that a disk boots, amd64 or arm64 (default what its EFI system partition is for, or this computer's)")
	c.Flags().StringVar(&f.cdrom, "cdrom", "", "a medium in `FILE`, booted if the disk boots nothing")
	c.Flags().IntVar(&f.ssh, "ssh", 0, "forward `PORT` of 127.0.0.1 to the machine's sshd")
	c.Flags().StringVar(&f.timeout, "timeout", "", "pull the plug after `TIME`, such as 10m")
	c.RunE = func(c *cobra.Command, names []string) error {
		o, limit, err := f.options()
		if err != nil {
			return err
		}
		name := ""
		if len(names) == 1 {
			name = names[0]
		}
		if f.secureBoot && c.Flags().Changed("firmware") {
			return usage.Errorf("--secure-boot is --firmware %s: name one of them", qemu.SecureUEFI)
		}
		if isFile(name) {
			return f.disk(c, name, o, limit)
		}
		for _, only := range []string{"firmware", "secure-boot", "cdrom", "arch"} {
			if c.Flags().Changed(only) {
				return usage.Errorf("--%s is for a disk's FILE: what is staged needs neither firmware nor boot loader, and is of its kernel's architecture", only)
			}
		}
		return s.run(c, name, f, o, limit)
	}
	return c
}

// options are the flags, checked.
func (f flags) options() (o rehearsal.Options, limit time.Duration, err error) {
	if o, err = f.Options(); err != nil {
		return o, 0, err
	}
	o.Keep, o.SSH, o.Window = f.keep, f.ssh, f.window
	switch {
	case f.ssh < 0 || f.ssh > 65535:
		return o, 0, usage.Errorf("--ssh %d is no port", f.ssh)
	case f.json && !f.untilGood:
		return o, 0, usage.Errorf("--json prints how the machine was judged; give --until-good, too")
	case f.window && f.untilGood:
		return o, 0, usage.Errorf("--until-good ends by itself; there is nothing to do in a --window")
	case f.window && os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return o, 0, usage.Errorf("--window: there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set)")
	}
	if f.timeout != "" {
		if limit, err = span.Parse(f.timeout); err != nil || limit <= 0 {
			return o, 0, usage.Errorf("--timeout %q: write a time, such as 10m", f.timeout)
		}
	}
	if o.Network == qemu.Alone && f.ssh != 0 {
		o.Network = qemu.Isolated
	}
	return o, limit, nil
}

func (s Site) run(c *cobra.Command, name string, f flags, o rehearsal.Options, limit time.Duration) (err error) {
	show := screen.New(c.ErrOrStderr())
	defer func() { err = errors.Join(err, show.Close()) }()
	r, err := s.Open(c, show)
	if err != nil {
		return err
	}
	d, found, err := rehearsal.Staged(r.Machine.Book, name)
	if err != nil {
		return err
	}
	closeLog, err := f.OpenLog(&o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	ctx, cancel := f.limited(c.Context(), limit)
	defer cancel()
	o.Progress, o.Ready = show.Progress(), show.Close
	if f.untilGood {
		return judge(ctx, c, d, found, f, o)
	}
	return boot(ctx, c, d, found, o)
}

// limited ends when the plug is to be pulled.
func (f flags) limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("the plug was pulled after %s, as --timeout says", f.timeout))
}

// disk boots a disk's file.
func (f flags) disk(c *cobra.Command, file string, o rehearsal.Options, limit time.Duration) (err error) {
	m, err := f.machine(c, file, o)
	if err != nil {
		return err
	}
	closeLog, err := f.OpenLog(&o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	ctx, cancel := f.limited(c.Context(), limit)
	defer cancel()
	return bootDisk(ctx, c, file, m, o)
}

// boot runs the machine for people.
func boot(ctx context.Context, c *cobra.Command, d rehearsal.Deployment, found state.Found, o rehearsal.Options) error {
	in, out := terminal(c.InOrStdin()), screen.Terminal(c.OutOrStdout())
	if in == nil || out == nil || o.Window {
		if !o.Window {
			o.Screen = Lines(c.OutOrStdout())
		}
		return rehearsal.Run(ctx, d, o)
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s boots; Ctrl-] three times within a second pulls the plug\n", title(found))
	return attended(ctx, in, out, func(ctx context.Context, typed io.Reader) error {
		o.Screen, o.Input = out, typed
		return rehearsal.Run(ctx, d, o)
	})
}

// outcomeJSON is how a generation was judged.
type outcomeJSON struct {
	Image      string `json:"image"`
	Generation int    `json:"generation"`
	Deployment string `json:"deployment"`
	Verdict
}

// judge runs the machine until it is judged.
func judge(ctx context.Context, c *cobra.Command, d rehearsal.Deployment, found state.Found, f flags, o rehearsal.Options) error {
	if !f.json {
		o.Screen = Lines(c.ErrOrStderr())
	}
	out, err := rehearsal.Judge(ctx, d, o)
	if err != nil {
		return err
	}
	var asJSON any
	if f.json {
		asJSON = outcomeJSON{Image: found.Image, Generation: found.N, Deployment: found.Deployment, Verdict: NewVerdict(out)}
	}
	return Tell(c, title(found), out, asJSON)
}

func title(found state.Found) string {
	return fmt.Sprintf("%s:%d (%s)", found.Image, found.N, plan.Short(found.Deployment))
}
