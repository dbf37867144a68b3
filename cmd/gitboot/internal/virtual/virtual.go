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
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
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
	window, network, untilGood, json bool
	keep, log, memory, timeout       string
	cpus, ssh                        int
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

--until-good boots it as a deployment on trial and ends when it is judged by the
machine's health: the command exits with 1 if it is not good.`

const examples = `  gitboot vm
  gitboot vm desktop:12 --memory 4GB --window
  gitboot vm router --ssh 2222 --network
  gitboot vm desktop --until-good --json`

// New returns the command.
func New(s Site) *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use: "vm [MACHINE | IMAGE[:GENERATION]]", Short: "Boot what is staged in a virtual machine", Long: long, Example: examples,
		Args: usage.Args(cobra.MaximumNArgs(1)), ValidArgsFunction: s.Generations,
	}
	c.Flags().BoolVar(&f.window, "window", false, "show the machine's screen in a window")
	c.Flags().BoolVar(&f.network, "network", false, "let the machine reach what this one reaches")
	c.Flags().BoolVar(&f.untilGood, "until-good", false, "end when the machine is judged by its health")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON with stable fields; with --until-good")
	c.Flags().StringVar(&f.keep, "keep", "", "keep the disk in `FILE`, and boot it again from there")
	c.Flags().StringVar(&f.log, "log", "", "write what the machine prints on its console to `FILE`")
	c.Flags().StringVar(&f.memory, "memory", "2GB", "the machine's memory")
	c.Flags().IntVar(&f.cpus, "cpus", 2, "how many processors it has")
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
		return s.run(c, name, f, o, limit)
	}
	return c
}

// options are the flags, checked.
func (f flags) options() (o rehearsal.Options, limit time.Duration, err error) {
	o = rehearsal.Options{Keep: f.keep, Temp: rehearsal.TempDir(), CPUs: f.cpus, SSH: f.ssh, Window: f.window, Known: rehearsal.KnownKVM()}
	if o.Memory, err = progress.ParseBytes(f.memory); err != nil || o.Memory < 64e6 {
		return o, 0, usage.Errorf("--memory %q: write how much, such as 2GB; a machine takes 64MB at least", f.memory)
	}
	switch {
	case f.cpus < 1 || f.cpus > 255:
		return o, 0, usage.Errorf("--cpus %d: a machine has 1 to 255", f.cpus)
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
	switch {
	case f.network:
		o.Network = qemu.Outside
	case f.ssh != 0:
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
	if f.log != "" {
		log, err := os.OpenFile(f.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return &usage.Error{Err: err}
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		o.Log = log
	}
	ctx := c.Context()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("the plug was pulled after %s, as --timeout says", f.timeout))
		defer cancel()
	}
	o.Progress, o.Ready = show.Progress(), show.Close
	if f.untilGood {
		return judge(ctx, c, d, found, f, o)
	}
	return boot(ctx, c, d, found, o)
}

// boot runs the machine for people.
func boot(ctx context.Context, c *cobra.Command, d rehearsal.Deployment, found state.Found, o rehearsal.Options) error {
	in, out := terminal(c.InOrStdin()), screen.Terminal(c.OutOrStdout())
	what := fmt.Sprintf("%s:%d (%s)", found.Image, found.N, plan.Short(found.Deployment))
	if in == nil || out == nil || o.Window {
		if !o.Window {
			o.Screen = lines(c.OutOrStdout())
		}
		return rehearsal.Run(ctx, d, o)
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s boots; Ctrl-] three times within a second pulls the plug\n", what)
	return attended(ctx, in, out, func(ctx context.Context, typed io.Reader) error {
		o.Screen, o.Input = out, typed
		return rehearsal.Run(ctx, d, o)
	})
}

// lines prints what a machine does, as text.
func lines(to io.Writer) io.Writer {
	return plain.Lines(func(line string) { fmt.Fprintln(to, line) })
}

// outcomeJSON is how a machine was judged.
type outcomeJSON struct {
	Image      string `json:"image"`
	Generation int    `json:"generation"`
	Deployment string `json:"deployment"`
	Good       bool   `json:"good"`
	// Reason says why it is not, Warnings what should have been well.
	Reason   string   `json:"reason,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Seconds is how long it took, Accelerator kvm or tcg.
	Seconds     float64 `json:"seconds"`
	Accelerator string  `json:"accelerator"`
	// Console are the last lines of what is not good.
	Console []string `json:"console,omitempty"`
}

// judge runs the machine until it is judged.
func judge(ctx context.Context, c *cobra.Command, d rehearsal.Deployment, found state.Found, f flags, o rehearsal.Options) error {
	if !f.json {
		o.Screen = lines(c.ErrOrStderr())
	}
	out, err := rehearsal.Judge(ctx, d, o)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s:%d (%s)", found.Image, found.N, plan.Short(found.Deployment))
	failure := fmt.Errorf("%s is not good: %s", what, out.Reason)
	if f.json {
		j := outcomeJSON{
			Image: found.Image, Generation: found.N, Deployment: found.Deployment, Good: out.Good, Reason: out.Reason, Warnings: out.Warnings,
			Seconds: out.Took.Round(time.Millisecond).Seconds(), Accelerator: string(out.Accel),
		}
		if !out.Good {
			j.Console = out.Console
		}
		if err := screen.JSON(c.OutOrStdout(), j); err != nil || out.Good {
			return err
		}
		return failure
	}
	if !out.Good {
		return failure
	}
	for _, w := range out.Warnings {
		fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s is good, after %.0f s (%s)\n", what, out.Took.Seconds(), out.Accel)
	return err
}
