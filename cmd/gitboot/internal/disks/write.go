package disks

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
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
	if err := disk.Fits(source); err != nil {
		return &usage.Error{Err: err}
	}
	if !yes {
		if err := agreed(c, disk); err != nil {
			return err
		}
	}
	began := time.Now()
	show := screen.New(c.ErrOrStderr())
	err = disk.Write(c.Context(), source, show.Progress())
	if err = errors.Join(err, show.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s written and read back in %s\n", plain.Visible(path), progress.Bytes(source.Size), time.Since(began).Round(10*time.Millisecond))
	return err
}

// agreed has somebody type the name of the disk that is lost.
func agreed(c *cobra.Command, disk *device.Device) error {
	if screen.Terminal(c.ErrOrStderr()) == nil {
		return usage.Errorf("all on %s would be lost (%s), and there is nobody to ask; give --yes if that is right", plain.Visible(disk.Path), disk.Words())
	}
	fmt.Fprintf(c.ErrOrStderr(), "All on this disk will be lost:\n  %s\nType its name (%s) to go on: ", disk.Words(), disk.Name)
	typed, err := line(c)
	if err != nil {
		return err
	}
	if typed != disk.Name && typed != disk.Path {
		return usage.Errorf("nothing was written: %q is not its name", typed)
	}
	return nil
}

// line is what somebody types, or why nobody does any more.
func line(c *cobra.Command) (string, error) {
	type answer struct {
		text string
		err  error
	}
	typed := make(chan answer, 1)
	go func() {
		text, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), 4096)).ReadString('\n')
		typed <- answer{text, err}
	}()
	select {
	case a := <-typed:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return "", fmt.Errorf("read the disk's name: %w", a.err)
		}
		return strings.TrimSpace(a.text), nil
	case <-c.Context().Done():
		return "", fmt.Errorf("nothing was written: %w", c.Context().Err())
	}
}
