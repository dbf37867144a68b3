package wanted

import (
	"fmt"

	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/spec"
)

// WrongMachineError says that the config repo's machine is another one than
// the machine this runs on.
type WrongMachineError struct {
	Machine, Want, Have string
}

func (e *WrongMachineError) Error() string {
	return fmt.Sprintf("machine %q has machine_id %s in the config repo, but this machine's /etc/machine-id is %s; "+
		"choose another machine with --machine, or correct machine_id", e.Machine, e.Want, e.Have)
}

// RepoNameError says that the config repo is another one than the machine
// follows.
type RepoNameError struct{ Want, Have string }

func (e *RepoNameError) Error() string {
	have := fmt.Sprintf("calls itself %q", e.Have)
	if e.Have == "" {
		have = "has no name"
	}
	return fmt.Sprintf("the config repo %s in %s, but repo_name in agent.toml is %q: another repo or branch is served, or it was renamed; "+
		"if it is the right one, make repo there and repo_name here the same", have, spec.RootFile, e.Want)
}

// MachineError says that the config repo declares no such machine.
type MachineError struct {
	Name, From string
	Known      []string
}

func (e *MachineError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("the config repo has no machine %q (the name came from %s), nor any other; declare [machine.%s] there", e.Name, e.From, e.Name)
	}
	return fmt.Sprintf("the config repo has no machine %q%s (the name came from %s); it has: %s; choose one with --machine",
		e.Name, nearest.Hint(e.Name, e.Known), e.From, nearest.List(e.Known))
}
