package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/sealing"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/settings"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/spec"
)

// validation is what validate --json prints.
type validation struct {
	Valid    bool     `json:"valid"`
	Machines []string `json:"machines"`
	Images   []string `json:"images"`
	Hooks    []string `json:"hooks"`
	// Secrets are who can read which.
	Secrets []sealing.Readers `json:"secrets"`
	// BootTests are the machines that boot what is new in a virtual machine first.
	BootTests []string      `json:"bootTests"`
	Problems  spec.Problems `json:"problems"`
	More      int           `json:"more"`
}

func newValidate(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check a config repo and name every problem",
		Long: `validate reads the config repo in DIR (default: here) as it lies there, committed
or not, resolves every machine (with --machine, that one alone) and names all
problems at once, those of an agent.toml that a hook writes among them. Of secrets
it shows who can read which; it opens none.

Submodules are not read, though a machine with submodules = true in agent.toml reads
them at the commits that are pinned: to it, gitboot plan says what is wrong in them.`,
		Example: "  gitboot validate\n  gitboot validate ~/fleet --json\n  gitboot validate --machine laptop",
		Args:    usage.Args(cobra.MaximumNArgs(1)),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, dirs []string) error {
		dir := "."
		if len(dirs) == 1 {
			dir = dirs[0]
		}
		files, err := source.Folder(dir)
		if err != nil {
			return &usage.Error{Err: err}
		}
		if _, err := fs.Stat(files, ".gitmodules"); err == nil {
			fmt.Fprintln(c.ErrOrStderr(), "note: submodules are not read here; on a machine that reads them, `gitboot plan` does")
		}
		v, err := validate(c.Context(), files, a.flags.Machine)
		if problems := (spec.Problems)(nil); err != nil && !errors.As(err, &problems) {
			return &usage.Error{Err: err}
		}
		if *asJSON {
			return errors.Join(screen.JSON(c.OutOrStdout(), v), err)
		}
		if len(v.BootTests) > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "note: with boot_test, %s QEMU, mke2fs and debugfs (Debian: qemu-system-x86, e2fsprogs); `gitboot doctor` there looks for them\n", needs(v.BootTests))
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s: valid: %s, %s, %s\n", dir, screen.Count(len(v.Machines), "machine"), screen.Count(len(v.Images), "image"), screen.Count(len(v.Hooks), "hook"))
		if err != nil || len(v.Secrets) == 0 {
			return err
		}
		return sealing.Tell(c.OutOrStdout(), v.Secrets)
	}
	return c
}

// needs says that machines do.
func needs(machines []string) string {
	if len(machines) == 1 {
		return "machine " + machines[0] + " needs"
	}
	return screen.Count(len(machines), "machine") + " need"
}

func validate(ctx context.Context, fsys fs.FS, only string) (validation, error) {
	v := validation{Machines: []string{}, Images: []string{}, Hooks: []string{}, Secrets: []sealing.Readers{}, BootTests: []string{}}
	fleet, err := spec.Load(ctx, fsys)
	if err != nil {
		v.Problems, v.More = problemsOf(err)
		return v, err
	}
	// Only here: the gitboot that reads it is that of the image, and may be a newer one
	// than that which stages it.
	fleet.ReadBy(settings.File, settings.Wrong)
	v.Machines, v.Images, v.Hooks = fleet.Machines(), fleet.Images(), fleet.Hooks()
	secrets, err := fleet.Secrets(ctx)
	if err != nil {
		return v, err
	}
	v.Secrets = sealing.ReadersOf(secrets)
	machines := v.Machines
	if only != "" {
		machines = []string{only}
	}
	v.BootTests = append(v.BootTests, fleet.BootTests(machines)...)
	err = fleet.Check(ctx, machines)
	v.Valid = err == nil
	v.Problems, v.More = problemsOf(err)
	return v, err
}

func newInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a small commented config repo to start from",
		Long: `init writes a config repo that validates into DIR (default: here), which may
hold other files but none of the same names. It makes no commit.`,
		Example: "  gitboot init ~/fleet && cd ~/fleet && git init && git add . && git commit -m first",
		Args:    usage.Args(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, dirs []string) error {
			dir := "."
			if len(dirs) == 1 {
				dir = dirs[0]
			}
			return writeStarter(c, dir)
		},
	}
}

// writeStarter writes nothing at all if any of its files is there already.
func writeStarter(c *cobra.Command, dir string) error {
	starter := spec.Starter()
	var files []string
	err := fs.WalkDir(starter, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files = append(files, name)
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return usage.Errorf("init %s: %s is there already; choose an empty folder", dir, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range files {
		data, err := fs.ReadFile(starter, name)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), "wrote", path)
	}
	return nil
}

func newSpec() *cobra.Command {
	schema := &cobra.Command{
		Use: "schema", Short: "Print a JSON Schema of the config files, for editors", Args: usage.NoArgs,
		Example: "  gitboot spec schema > gitboot.schema.json",
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(spec.Schema())
			return err
		},
	}
	return usage.Group("spec", "Describe the config repo's format", schema)
}
