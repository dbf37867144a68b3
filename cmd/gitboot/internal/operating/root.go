package operating

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/writable"
)

// maxHidden is how many hidden files people are shown.
const maxHidden = 30

func newWritable(s Site) *cobra.Command {
	return usage.Group("root", "Show and give up what this system has written to its disk", newWritten(s), newReset(s))
}

func newWritten(s Site) *cobra.Command {
	c := &cobra.Command{Use: "show", Short: "Show what was written, and what of it hides newer files of the image", Args: usage.NoArgs,
		Long: fmt.Sprintf(`show tells how much the running system has written to the disk, where [machine.NAME.root]
upper in the config repo says "disk" or "persistent".

What is kept lies above every generation of the image. A file that was written, or
removed, stays so when a new generation brings another: show lists such files, each with
the generation that changed it, at most %d of them; --json lists all. gitboot root reset
gives them up, so that the image's own are seen.`, maxHidden),
		Example: "  gitboot root show\n  gitboot root show --json | jq -r '.hides[].path'"}
	asJSON := c.Flags().Bool("json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, _ []string) error {
		layer, generations, err := s.written(c)
		if err != nil {
			return err
		}
		r, err := layer.Look(c.Context(), generations)
		if err != nil {
			return err
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), r)
		}
		return printWritten(c.OutOrStdout(), r)
	}
	return c
}

// written is the layer of what is running, and the generations of its image.
func (s Site) written(c *cobra.Command) (layer writable.Layer, generations []writable.Generation, err error) {
	m, err := s.machine(c)
	if err != nil {
		return layer, nil, err
	}
	running := m.Book.Booted
	if running == "" {
		return layer, nil, boot.ErrNotBooted
	}
	manifest, err := m.Stage.Deployment(running)
	if err != nil {
		return layer, nil, err
	}
	if layer, err = writable.Open(manifest); err != nil {
		return layer, nil, err
	}
	doc, err := state.LoadMachine(m.Stage.Dir())
	if err != nil || doc.Images[layer.Image] == nil {
		return layer, nil, err
	}
	generations, err = writable.Generations(m.Stage, doc.Images[layer.Image], running)
	return layer, generations, err
}

func printWritten(w io.Writer, r writable.Report) error {
	more := ""
	if r.Part {
		more = "more than "
	}
	fmt.Fprintf(w, "what %s writes is %s\n", r.Image, r.Where)
	fmt.Fprintf(w, "written: %s%d files, %s; %s free\n", more, r.Files, progress.Bytes(r.Bytes), progress.Bytes(r.Free))
	if len(r.Reset) > 0 {
		fmt.Fprintf(w, "given up at the next boot: %s\n", plain.Line(strings.Join(r.Reset, " ")))
	}
	if len(r.Hides) == 0 {
		return nil
	}
	rows := [][]any{}
	for _, h := range r.Hides[:min(len(r.Hides), maxHidden)] {
		rows = append(rows, []any{plain.Line(h.Path), fmt.Sprintf("%s:%d", r.Image, h.Generation)})
	}
	if err := screen.Table(w, "HIDES\tOF", rows); err != nil {
		return err
	}
	if left := len(r.Hides) - maxHidden; left > 0 {
		fmt.Fprintf(w, "and %d more; --json lists all\n", left)
	}
	_, err := fmt.Fprintln(w, "`gitboot root reset PATH` gives up what was written there, at the next boot")
	return err
}

func newReset(s Site) *cobra.Command {
	c := &cobra.Command{Use: "reset [PATH...]", Short: "Give up what was written, at the next boot", Args: usage.Args(cobra.ArbitraryArgs),
		Long: `reset has process 1 give up what was written to paths, or everywhere without any, when
this image boots next: files that were changed or removed are the image's again, those
that were made are gone. Until then nothing happens, and --undo takes it back.

What is given up cannot be had back. Other images' writable layers are left alone.`,
		Example: "  gitboot root reset /etc/ssh/sshd_config\n  gitboot root reset             # everything\n  gitboot root reset --undo"}
	undo := c.Flags().Bool("undo", false, "give up nothing")
	c.RunE = func(c *cobra.Command, paths []string) error {
		layer, _, err := s.written(c)
		if err != nil {
			return err
		}
		if *undo {
			if len(paths) > 0 {
				return usage.Errorf("--undo takes back all; it is given no paths")
			}
			if err := layer.Keep(); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "nothing is given up at the next boot")
			return err
		}
		asked, err := layer.Reset(paths)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "given up when %s boots next: %s; `gitboot root reset --undo` takes it back\n", layer.Image, plain.Line(strings.Join(asked, " ")))
		return err
	}
	return c
}
