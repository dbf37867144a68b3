// Package joining is the command join: what has to be settled, once, before a machine
// follows its config repo. It asks for what only a person can know, writes agent.toml
// at the end, and can be ended at any question and begun again.
package joining

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/settings"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/transport"
	"github.com/gitboot/gitboot/reconciler/wanted"
)

// A Site is what the command is given of gitboot's other flags and commands.
type Site struct {
	// Flags are those that agent.toml has keys for.
	Flags *settings.Flags
	// Config is the path of agent.toml.
	Config func() string
	// Run runs another command of this program, by its arguments, which prints to out.
	Run func(from *cobra.Command, out io.Writer, args ...string) error
}

// New makes the command.
func New(s Site) *cobra.Command {
	var hostKey string
	var yes bool
	c := &cobra.Command{
		Use:   "join --repo URL [--machine NAME]",
		Short: "Have this machine follow a config repo: settings, key, first plan",
		Long: `join makes a running system one of the machines of a config repo, and asks on the
way for what only you can know. It

- makes an ssh key for this machine and shows it, to be added to the repo as a deploy
  key that may only read, or asks for a token if the repo is read over https;
- shows the server's host key, and believes it if you say that it is right;
- looks whether the repo can be read and has this machine, and shows what would
  declare it if not;
- writes agent.toml, keeping what it says already;
- makes doctor's checks, and shows the first plan;
- and reconciles, if you want it to.

It can be ended at any question: what was made is found again by the next one. An
agent.toml that follows another repo is left as it is. Answers are read from standard
input.`,
		Example: `  sudo gitboot join --repo git@forge.example:me/fleet.git
  sudo gitboot join --repo https://forge.example/me/fleet.git --machine laptop
  sudo gitboot join --repo ssh://git@host.example/fleet.git --host-key SHA256:… --yes`,
		Args: usage.NoArgs,
	}
	c.Flags().StringVar(&hostKey, "host-key", "", "the server's host key, as `SHA256:…`, instead of asking whether it is right")
	c.Flags().BoolVar(&yes, "yes", false, "reconcile in the end without asking")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if s.Flags.Repo == "" {
			return usage.Errorf("join which config repo? give --repo URL; `gitboot init` writes one to begin with")
		}
		at, err := transport.ParseAddress(s.Flags.Repo)
		if err != nil {
			return &usage.Error{Err: err}
		}
		dir, err := filepath.Abs(filepath.Dir(s.Config()))
		if err != nil {
			return err
		}
		j := &joiner{Site: s, at: at, dir: dir, person: newPerson(c), hostKey: hostKey, yes: yes}
		return j.join(c)
	}
	return c
}

// A joiner is one run of the command.
type joiner struct {
	Site
	*person
	at  transport.Address
	dir string // of agent.toml, the key and what else is kept
	// before is what agent.toml said.
	before settings.Config
	// name is how agent.toml will call this machine.
	name    string
	hostKey string
	yes     bool
	reach   transport.Options
}

// join is all of it, in order.
func (j *joiner) join(c *cobra.Command) error {
	ctx := c.Context()
	if err := durable.MkdirAll(j.dir, 0o755); err != nil {
		return fmt.Errorf("%w; join writes this machine's settings, for which it has to run as root", err)
	}
	had, err := j.settled()
	if err != nil {
		return err
	}
	if !had {
		if err := j.reached(ctx); err != nil {
			return err
		}
		if j.name, err = j.named(); err != nil {
			return err
		}
		if err := j.write(); err != nil {
			return err
		}
	}
	if err := j.declared(c); err != nil {
		return err
	}
	if err := j.Run(c, c.OutOrStdout(), "doctor"); err != nil {
		j.say("\nWhat failed above has to be put right first. Then run the same command again.")
		return err
	}
	j.say("")
	if err := j.Run(c, c.OutOrStdout(), "plan"); err != nil {
		return err
	}
	return j.reconcile(c)
}

// named is the machine's name: the one that is given, or the host's.
func (j *joiner) named() (string, error) {
	if j.Flags.Machine != "" {
		return j.Flags.Machine, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("this host has no name: %w; give --machine NAME", err)
	}
	return host, nil
}

// declared waits until the repo has the machine.
func (j *joiner) declared(c *cobra.Command) error {
	for {
		err := j.Run(c, io.Discard, "hook", "list")
		unknown := (*wanted.MachineError)(nil)
		if !errors.As(err, &unknown) {
			return err
		}
		j.say("%v.\n\nThis would declare it, in gitboot.toml or in a file that its include names:\n\n%s", err, declaration(unknown.Name))
		if err := j.enter(c.Context(), "Commit that, and press Enter to look again."); err != nil {
			return err
		}
	}
}

// declaration is the least that declares a machine.
func declaration(name string) string {
	return fmt.Sprintf("    [machine.%s]\n    images = [\"NAME\"]   # of the images that the repo declares\n    hooks  = []\n", name)
}

func (j *joiner) reconcile(c *cobra.Command) error {
	if !j.yes {
		yes, err := j.agreed(c.Context(), "\nReconcile now?")
		if err != nil || !yes {
			j.say("Nothing was staged. `gitboot reconcile --once` does what the plan says; `systemctl enable --now gitboot` follows the repo from now on.")
			return err
		}
	}
	if err := j.Run(c, c.OutOrStdout(), "reconcile", "--once"); err != nil {
		return err
	}
	j.say("\nThis machine has joined. `systemctl enable --now gitboot` has it follow the repo by itself; `gitboot status` shows how it is.")
	return nil
}
