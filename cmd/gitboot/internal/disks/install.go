package disks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/disk/device"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/diskimage"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
)

const installLong = `install makes a machine of the config repo on a disk of this computer, which then
boots it: what gitboot disk image makes, written straight onto the disk, as large as
that is, and read back. All that is on the disk is lost: what it is is shown, and its
name has to be typed, unless there is --yes.

Without DEVICE it is the disk that the machine's declaration means ([machine.NAME.disk]
device, serial or size). A disk is refused that is mounted, swapped to or part of
another device, which is what this system runs from, or too small. No other is written
to. It can be ended at any time, and begun again: the partition table comes last, and
until then the disk boots nothing.

The first boot is on trial as any other, where the machine is in mode managed.`

const installExamples = `  gitboot install /dev/sdb --machine laptop
  gitboot install --machine laptop --repo https://git.example/fleet.git
  gitboot install /dev/vda --machine laptop --yes --json`

type installFlags struct {
	yes, json bool
}

// Install is the command install.
func Install(s Site) *cobra.Command {
	var f installFlags
	c := &cobra.Command{
		Use: "install [DEVICE]", Short: "Make a machine of the config repo on a disk of this computer", Long: installLong, Example: installExamples,
		Args: usage.Args(cobra.MaximumNArgs(1)),
	}
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask for the disk's name")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, names []string) error {
		i := &installer{Site: s, c: c, flags: f}
		if len(names) > 0 {
			i.path = names[0]
		}
		return i.run()
	}
	return c
}

// An installer makes one machine on one disk.
type installer struct {
	Site
	c     *cobra.Command
	flags installFlags
	path  string
	disk  *device.Device
	show  *screen.Display
}

func (i *installer) run() (err error) {
	if i.path != "" { // before anything is read: it may be in use
		if err := i.open(i.path); err != nil {
			return err
		}
	}
	defer func() {
		if i.disk != nil {
			err = errors.Join(err, i.disk.Close())
		}
	}()
	began := time.Now()
	made, err := i.made(i.c.Context())
	if err != nil {
		return err
	}
	return i.print(made, time.Since(began))
}

// made stages all, and writes it.
func (i *installer) made(ctx context.Context) (made *diskimage.Plan, err error) {
	i.show = screen.New(i.c.ErrOrStderr())
	defer func() { err = errors.Join(err, i.show.Close()) }()
	cfg, err := i.Config(i.c, i.show, "")
	if err != nil {
		return nil, err
	}
	temp, err := diskimage.NewTemp(rehearsal.TempDir())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, temp.Close()) }()
	if made, err = diskimage.Prepare(ctx, diskimage.Order{Config: cfg, Size: i.size, Temp: temp.Path}); err != nil {
		return nil, err
	}
	laid, err := made.Lay(ctx)
	if err != nil {
		return nil, err
	}
	return made, errors.Join(i.disk.Write(ctx, laid, i.show.Progress()), laid.Close())
}

// size is that of the disk, which somebody has agreed to lose.
func (i *installer) size(declared *layout.Disk) (int64, error) {
	if i.disk == nil {
		if err := i.choose(declared); err != nil {
			return 0, err
		}
	}
	if !i.flags.yes {
		if err := errors.Join(i.show.Close(), agreed(i.c, i.disk)); err != nil {
			return 0, err
		}
	}
	return i.disk.Size, nil
}

func (i *installer) open(path string) (err error) {
	if i.disk, err = device.Open(path); err != nil {
		return &usage.Error{Err: err}
	}
	return nil
}

// choose takes the disk that is declared.
func (i *installer) choose(declared *layout.Disk) error {
	if declared == nil {
		declared = new(layout.Disk)
	}
	all, err := device.List()
	if err != nil {
		return err
	}
	path, err := device.Choose(*declared, all)
	if err != nil {
		return &usage.Error{Err: err}
	}
	return i.open(path)
}

// installedJSON is what install --json prints.
type installedJSON struct {
	Machine  string `json:"machine"`
	Revision string `json:"revision"`
	Device   string `json:"device"`
	// Size is the disk's, in bytes.
	Size        int64            `json:"size"`
	Partitions  []partitionJSON  `json:"partitions"`
	Deployments []deploymentJSON `json:"deployments"`
}

func (i *installer) print(made *diskimage.Plan, took time.Duration) error {
	out := installedJSON{Machine: made.Machine, Revision: made.Revision, Device: i.disk.Path, Size: made.Size, Partitions: partitionsJSON(made), Deployments: deploymentsJSON(made)}
	if i.flags.json {
		return screen.JSON(i.c.OutOrStdout(), out)
	}
	if err := printPartitions(i.c, out.Partitions); err != nil {
		return err
	}
	_, err := fmt.Fprintf(i.c.OutOrStdout(), "%s: boots %s at revision %s, made and read back in %s; %s of %s\n",
		plain.Visible(i.disk.Path), made.Machine, plan.Short(made.Revision), took.Round(10*time.Millisecond), progress.Bytes(made.Bytes()), progress.Bytes(made.Size))
	return err
}
