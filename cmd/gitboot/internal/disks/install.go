package disks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/device"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/disk/medium"
	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/diskimage"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
	"github.com/gitboot/gitboot/unattended"
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

The first boot is on trial as any other, where the machine is in mode managed. What
boots of a machine that declares secure_boot = true is signed, and --keys, --enroll,
--without-signing-key and -i are those of gitboot disk image.

On an installation medium (gitboot disk iso), --from installs the machine that is on it,
without the config repo and without a network. --answers has nobody asked: a file says
which disk is meant and that all on it may be lost, on the medium, in the user data that
a cloud keeps for the machine, or at a URL. It begins with the line #gitboot-install,
and erase = true has to be in it.`

const installExamples = `  gitboot install /dev/sdb --machine laptop
  gitboot install --machine laptop --repo https://git.example/fleet.git
  gitboot install /dev/vda --machine laptop --yes --json
  gitboot install --from /run/initramfs/gitboot --answers cloud`

type installFlags struct {
	yes, json     bool
	from, answers string
	keys          keyFlags
}

// Install is the command install.
func Install(s Site) *cobra.Command {
	var f installFlags
	c := &cobra.Command{
		Use: "install [DEVICE]", Short: "Make a machine of the config repo on a disk of this computer", Long: installLong, Example: installExamples,
		Args: usage.Args(cobra.MaximumNArgs(1)),
	}
	f.keys.add(c)
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask for the disk's name")
	c.Flags().StringVar(&f.from, "from", "", "install what is on a medium, whose stage is in this `FOLDER`")
	c.Flags().StringVar(&f.answers, "answers", deployment.InstallAsk, "what says how: ask, medium, cloud, or a file's `URL`")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, names []string) error {
		i := &installer{Site: s, c: c, flags: f}
		if len(names) > 0 {
			i.path = names[0]
		}
		return i.run(c.Context())
	}
	return c
}

// An installer makes one machine on one disk.
type installer struct {
	Site
	c     *cobra.Command
	flags installFlags
	path  string
	// answers are nil if somebody is asked.
	answers *unattended.Answers
	disk    *device.Device
	show    *screen.Display
	told    installedJSON
	bytes   int64
}

func (i *installer) run(ctx context.Context) (err error) {
	defer func() { err = i.ofMedium(err) }()
	if i.flags.from != "" && i.flags.keys.given() {
		return usage.Errorf("what a medium installs was signed and its secrets opened when it was made: give --keys, --enroll, --without-signing-key and -i to `gitboot disk iso`")
	}
	if err := i.answered(ctx); err != nil {
		return err
	}
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
	i.show = screen.New(i.c.ErrOrStderr())
	install := i.fromRepo
	if i.flags.from != "" {
		install = i.fromMedium
	}
	if err := errors.Join(install(ctx), i.show.Close()); err != nil {
		return err
	}
	if err := i.print(time.Since(began)); err != nil {
		return err
	}
	return i.end()
}

// ofMedium says what to do about a medium that can't be read: mostly it was pulled out.
func (i *installer) ofMedium(err error) error {
	if file, met := durable.Met(err); i.flags.from == "" || !met || !durable.Below(i.flags.from, file) {
		return err
	}
	return fmt.Errorf("%w; the medium may be out or damaged: plug it in, and start from it again", err)
}

// fromRepo stages all that the machine boots, and writes it.
func (i *installer) fromRepo(ctx context.Context) (err error) {
	cfg, err := i.Config(i.c, i.show, "")
	if err != nil {
		return err
	}
	temp, err := diskimage.NewTemp(rehearsal.TempDir())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, temp.Close()) }()
	made, err := i.flags.keys.prepare(ctx, diskimage.Order{Config: cfg, Size: i.size, Temp: temp.Path})
	if err != nil {
		return err
	}
	laid, err := made.Lay(ctx)
	if err != nil {
		return err
	}
	i.tell(made.Machine, made.Revision, made.Partitions, made.Deployments)
	return errors.Join(i.write(ctx, laid), laid.Close())
}

// fromMedium writes what a medium has.
func (i *installer) fromMedium(ctx context.Context) error {
	doc, err := medium.Read(i.flags.from)
	if err != nil {
		return err
	}
	if i.answers != nil && i.answers.Machine != "" && i.answers.Machine != doc.Machine {
		return fmt.Errorf("the answers are for machine %q, and this medium has %q; nothing was erased", plain.Visible(i.answers.Machine), plain.Visible(doc.Machine))
	}
	disk := doc.Disk(i.flags.from)
	if _, err := i.size(&doc.Declared); err != nil {
		return err
	}
	i.tell(doc.Machine, doc.Revision, doc.Partitions, doc.Deployments)
	return i.write(ctx, disk)
}

// write writes a disk, unless nobody is asked and it is there already.
func (i *installer) write(ctx context.Context, disk *piece.Disk) error {
	if err := i.disk.Fits(disk); err != nil {
		return &usage.Error{Err: err}
	}
	if a := i.answers; a != nil && !a.Again && i.disk.Table.UUID == disk.Table.UUID {
		return fmt.Errorf("%s has this machine already (%s), and stays as it is; start from it, or let the answers say again = true", plain.Visible(i.disk.Path), i.disk.Words())
	}
	i.told.Size, i.bytes = disk.Size, disk.Bytes()
	return i.disk.Write(ctx, disk, i.show.Progress())
}

// size is that of the disk, which somebody has agreed to lose.
func (i *installer) size(declared *layout.Disk) (int64, error) {
	if i.disk == nil {
		if declared == nil {
			declared = new(layout.Disk)
		}
		if err := i.choose(*declared); err != nil {
			return 0, err
		}
	}
	if !i.flags.yes && i.answers == nil {
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

// choose takes the disk that is meant, or asks for it where somebody may be asked.
func (i *installer) choose(declared layout.Disk) error {
	if i.answers != nil {
		declared = i.answers.Meant(declared)
	}
	all, err := device.List()
	if err != nil {
		return err
	}
	path, err := device.Choose(declared, all)
	if unclear := (*device.ChoiceError)(nil); errors.As(err, &unclear) && i.answers == nil && !i.flags.yes && screen.Terminal(i.c.ErrOrStderr()) != nil {
		if path, err = chosen(i.c, unclear); err != nil {
			return err
		}
	}
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

func (i *installer) tell(machine, revision string, partitions []layout.Placed, deployments map[string]string) {
	i.told = installedJSON{Machine: machine, Revision: revision, Device: i.disk.Path, Partitions: partitionsJSON(partitions), Deployments: deploymentsJSON(deployments)}
}

func (i *installer) print(took time.Duration) error {
	if i.flags.json {
		return screen.JSON(i.c.OutOrStdout(), i.told)
	}
	if err := printPartitions(i.c, i.told.Partitions); err != nil {
		return err
	}
	_, err := fmt.Fprintf(i.c.OutOrStdout(), "%s: boots %s at revision %s, made and read back in %s; %s of %s\n",
		plain.Visible(i.told.Device), plain.Visible(i.told.Machine), plan.Short(i.told.Revision), took.Round(10*time.Millisecond), progress.Bytes(i.bytes), progress.Bytes(i.told.Size))
	return err
}
