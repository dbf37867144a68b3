package disks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/diskimage"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
)

const imageLong = `image makes a disk that boots a machine of the config repo, by BIOS and by UEFI: a
partition table, GRUB, and a stage with all that the machine boots, as a reconcile there
would make it. Where another boot loader is declared it has systemd-boot, or what U-Boot
(extlinux) or a Raspberry Pi's firmware (rpi) reads. How it is divided is declared
([machine.NAME.disk]); if it is not, it is as is right for a laptop. Nothing on this
computer changes, and it needs neither root nor loop devices.

The same revision, images and gitboot give the same bytes. What the machine generates
once, such as the keys of its ssh server, is made here and is on the disk; who has the
file has those. --stage keeps that, and all that was staged, in a folder: the next disk
of the machine then takes a fraction of the time.

Secrets of its hooks are on the disk as the machine has them, in the clear. They are
opened with what --stage keeps (gitboot secret key --create), with keys of this computer,
or with -i: an age identity or an ssh private key of yours, which is asked for its
passphrase and stays with you, or the machine's own. That is put on the disk, as the
machine has to open what is staged there later; a disk without it is told.

Where the machine declares secure_boot = true all that boots is signed by the keys in
signing_keys of agent.toml, or --keys (gitboot keys create). Firmware in setup mode is
told to trust them when somebody chooses that in systemd-boot's menu, or at the first
start with --enroll: them and nobody else, so that devices whose programs Microsoft has
signed may not work. It is for virtual machines, and for hardware that you know. The
disk's stage has the key that signs, for what the machine stages itself, or with
--without-signing-key its certificate alone.

The file is sparse: without --size it is as large as twice what the stage holds, and
8 GB at least, and takes as much room as is on it.`

const imageExamples = `  gitboot disk image laptop -o laptop.img
  gitboot disk image laptop -o laptop.img -i ~/.ssh/id_ed25519 -i laptop.key
  gitboot disk image laptop -o laptop.qcow2 --format qcow2 --size 40GB
  gitboot disk image laptop --repo https://git.example/fleet.git -o laptop.img --json`

type imageFlags struct {
	file diskimage.File
	size string
	keys keyFlags
	json bool
}

func newImage(s Site) *cobra.Command {
	var f imageFlags
	c := &cobra.Command{
		Use: "image MACHINE -o FILE", Short: "Make a disk that boots a machine, out of the config repo", Long: imageLong, Example: imageExamples,
		Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: s.Machines,
	}
	c.Flags().StringVarP(&f.file.Path, "output", "o", "", "the `FILE` to write")
	c.Flags().StringVar(&f.file.Format, "format", diskimage.Raw, "raw or qcow2")
	c.Flags().StringVar(&f.size, "size", "", "how large the disk is, such as 40GB")
	f.keys.add(c)
	c.Flags().BoolVar(&f.file.Force, "force", false, "replace the file if it is there")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, names []string) error { return s.image(c, names[0], f) }
	return c
}

// check refuses flags that cannot be, before anything is done.
func (f imageFlags) check() (size int64, err error) {
	switch {
	case f.file.Path == "":
		return 0, usage.Errorf("where to? name the file with -o")
	case f.file.Format != diskimage.Raw && f.file.Format != diskimage.QCOW2:
		return 0, usage.Errorf("--format %q is neither raw nor qcow2", f.file.Format)
	}
	if f.size != "" {
		if size, err = progress.ParseBytes(f.size); err != nil || size <= 0 || size > 1e15 {
			return 0, usage.Errorf("--size %q: write how large, such as 40GB", f.size)
		}
	}
	if err := f.file.Check(); err != nil {
		return 0, &usage.Error{Err: err}
	}
	return size, nil
}

func (s Site) image(c *cobra.Command, machine string, f imageFlags) (err error) {
	size, err := f.check()
	if err != nil {
		return err
	}
	show := screen.New(c.ErrOrStderr())
	cfg, err := s.Config(c, show, machine)
	if err != nil {
		return errors.Join(err, show.Close())
	}
	temp, err := diskimage.NewTemp(rehearsal.TempDir())
	if err != nil {
		return errors.Join(err, show.Close())
	}
	began := time.Now()
	made, err := f.keys.prepare(c.Context(), diskimage.Order{Config: cfg, Temp: temp.Path, Size: func(*layout.Disk) (int64, error) { return size, nil }})
	if err == nil {
		err = made.Write(c.Context(), f.file, show.Progress())
	}
	if err = errors.Join(err, temp.Close(), show.Close()); err != nil {
		return unmadeError{f.file.Path, err}
	}
	return printMade(c, made, f, time.Since(began))
}

// madeJSON is what disk image --json prints.
type madeJSON struct {
	Machine  string `json:"machine"`
	Revision string `json:"revision"`
	File     string `json:"file"`
	Format   string `json:"format"`
	// Size is the disk's, in bytes.
	Size       int64           `json:"size"`
	Partitions []partitionJSON `json:"partitions"`
	// Deployments are those that boot, sorted by image.
	Deployments []deploymentJSON `json:"deployments"`
	heldJSON
}

type deploymentJSON struct {
	Image      string `json:"image"`
	Deployment string `json:"deployment"`
}

type partitionJSON struct {
	Role       string `json:"role"`
	Label      string `json:"label"`
	Filesystem string `json:"filesystem,omitempty"`
	// Start and Size are in bytes.
	Start int64 `json:"start"`
	Size  int64 `json:"size"`
	// UUID is the partition's, FilesystemUUID that of what is in it.
	UUID           string `json:"uuid"`
	FilesystemUUID string `json:"filesystemUUID,omitempty"`
}

func printMade(c *cobra.Command, made *diskimage.Plan, f imageFlags, took time.Duration) error {
	out := madeJSON{Machine: made.Machine, Revision: made.Revision, File: f.file.Path, Format: f.file.Format, Size: made.Size, Partitions: partitionsJSON(made.Partitions), Deployments: deploymentsJSON(made.Deployments), heldJSON: held(made)}
	tellHeld(c, made, f.file.Path)
	if f.json {
		return screen.JSON(c.OutOrStdout(), out)
	}
	if err := printPartitions(c, out.Partitions); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s: a disk of %s that boots %s at revision %s, made in %s\n",
		plain.Visible(f.file.Path), progress.Bytes(made.Size), made.Machine, plan.Short(made.Revision), took.Round(10*time.Millisecond))
	return err
}

func partitionsJSON(partitions []layout.Placed) []partitionJSON {
	all := []partitionJSON{}
	for _, p := range partitions {
		all = append(all, partitionJSON{p.Role, p.Label, p.Filesystem, p.Start, p.Length, p.UUID, p.FSID})
	}
	return all
}

func deploymentsJSON(deployments map[string]string) []deploymentJSON {
	all := []deploymentJSON{}
	for _, image := range slices.Sorted(maps.Keys(deployments)) {
		all = append(all, deploymentJSON{image, deployments[image]})
	}
	return all
}

func printPartitions(c *cobra.Command, all []partitionJSON) error {
	rows := [][]any{}
	for i, p := range all {
		rows = append(rows, []any{i + 1, p.Role, p.Label, p.Filesystem, progress.Bytes(p.Size)})
	}
	return screen.Table(c.OutOrStdout(), "PARTITION\tROLE\tLABEL\tFILE SYSTEM\tSIZE", rows)
}
