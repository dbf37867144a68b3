package disks

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/disk/device"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

const writeLong = `write writes a disk that was made onto a whole disk of this computer, and reads all of
it back. All that is on that is lost: what it is is shown, and its name has to be typed,
unless there is --yes.

A disk is refused that is mounted, swapped to or part of another device, or smaller. The
partition table comes last: what was cut short boots nothing, and is written again. The
copy of the table goes to the end of the disk, and a partition that grows takes in what
is behind it.`

const writeExamples = `  gitboot disk write laptop.img /dev/sdb
  gitboot disk write laptop.img /dev/disk/by-id/usb-Stick_0123 --yes`

func newWrite() *cobra.Command {
	c := &cobra.Command{
		Use: "write FILE DEVICE", Short: "Write a disk that was made onto one that is there", Long: writeLong, Example: writeExamples,
		Args: usage.Args(cobra.ExactArgs(2)),
	}
	yes := c.Flags().Bool("yes", false, "do not ask for the disk's name")
	c.RunE = func(c *cobra.Command, names []string) error { return write(c, names[0], names[1], *yes) }
	return c
}

func write(c *cobra.Command, file, path string, yes bool) (err error) {
	source, err := device.OpenSource(file)
	if err != nil {
		return &usage.Error{Err: err}
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	disk, err := device.Open(path)
	if err != nil {
		return &usage.Error{Err: err}
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	if err := disk.Fits(source.Disk); err != nil {
		return &usage.Error{Err: err}
	}
	if !yes {
		if err := agreed(c, disk); err != nil {
			return err
		}
	}
	began := time.Now()
	show := screen.New(c.ErrOrStderr())
	err = disk.Write(c.Context(), source.Disk, show.Progress())
	if err = errors.Join(err, show.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s written and read back in %s\n", plain.Visible(path), progress.Bytes(source.Size), time.Since(began).Round(10*time.Millisecond))
	return err
}
