package disks

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/disk/device"
	"github.com/gitboot/gitboot/internal/plain"
)

// agreed has somebody type the name of the disk that is lost.
func agreed(c *cobra.Command, disk *device.Device) error {
	if screen.Terminal(c.ErrOrStderr()) == nil {
		return usage.Errorf("all on %s would be lost (%s), and there is nobody to ask; give --yes if that is right", plain.Visible(disk.Path), disk.Words())
	}
	fmt.Fprintf(c.ErrOrStderr(), "All on this disk will be lost:\n  %s\n", disk.Words())
	for _, line := range disk.Contents() {
		fmt.Fprintf(c.ErrOrStderr(), "    %s\n", line)
	}
	fmt.Fprintf(c.ErrOrStderr(), "Type its name (%s) to go on: ", disk.Name)
	typed, err := line(c)
	if err != nil {
		return err
	}
	if typed != disk.Name && typed != disk.Path {
		return usage.Errorf("nothing was written: %q is not its name", typed)
	}
	return nil
}

// chosen has somebody type which of this computer's disks is meant.
func chosen(c *cobra.Command, unclear *device.ChoiceError) (string, error) {
	if len(unclear.All) == 0 {
		return "", unclear
	}
	fmt.Fprintf(c.ErrOrStderr(), "%v\nIts name: ", unclear)
	typed, err := line(c)
	if err != nil {
		return "", err
	}
	for _, k := range unclear.All {
		if typed == k.Path || "/dev/"+typed == k.Path {
			return k.Path, nil
		}
	}
	return "", usage.Errorf("nothing was written: %q is none of them", typed)
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
