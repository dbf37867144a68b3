// Package operating holds the commands by which people decide of a machine what
// its config repo does not: which generations stay, and whether anything changes
// by itself.
package operating

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/operate"
)

// A Site is what the commands are given of gitboot's other flags.
type Site struct {
	// Open makes a reconciler for work on a stage that is there, without its
	// config repo.
	Open func(*cobra.Command, *screen.Display) (*reconciler.Reconciler, error)
	// Repo makes one that reads the config repo.
	Repo func(*cobra.Command, *screen.Display) (*reconciler.Reconciler, error)
	// Agent is this machine's, for who may ask it and not do by hand what it does; nil
	// for who may.
	Agent func() *control.Client
	// Wait is set when another's lock is waited for.
	Wait *bool
	// Generations completes names of generations.
	Generations cobra.CompletionFunc
}

// Commands returns the commands.
func Commands(s Site) []*cobra.Command {
	return []*cobra.Command{newPin(s), newUnpin(s), newSuspend(s), newResume(s), newApprove(s), newTry(s), newWritable(s)}
}

func (s Site) machine(c *cobra.Command) (*machine.Machine, error) {
	r, err := s.Open(c, nil)
	if err != nil {
		return nil, err
	}
	return &r.Machine, nil
}

// operator is who runs this, for work by hand.
func (s Site) operator(c *cobra.Command) (operate.Operator, error) {
	m, err := s.machine(c)
	return operate.Operator{On: m, By: who(), Wait: *s.Wait}, err
}

// askAgent has the agent do something for who may not do it by hand, and prints what
// it has done. It reports false for who may, and where no agent is running.
func (s Site) askAgent(c *cobra.Command, operation string, wish map[string]string) (asked bool, err error) {
	agent := s.Agent()
	if agent == nil {
		return false, nil
	}
	var answer struct {
		Done string `json:"done"`
	}
	err = agent.Do(c.Context(), operation, wish, &answer)
	if errors.As(err, new(*control.AbsentError)) {
		return false, nil
	}
	if err == nil {
		_, err = fmt.Fprintln(c.OutOrStdout(), answer.Done)
	}
	return true, err
}

func (s Site) waitFlag(c *cobra.Command) {
	c.Flags().BoolVar(s.Wait, "wait", false, "wait for another run to finish instead of failing")
}
