package reconciler

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// MachineError says that the config repo declares no such machine.
type MachineError struct {
	Name, From string
	Known      []string
}

func (e *MachineError) Error() string {
	return fmt.Sprintf("the config repo has no machine %q (the name came from %s); it has: %s; choose one with --machine",
		e.Name, e.From, strings.Join(e.Known, ", "))
}

// ParentError is what an image gets that could not be built because its base
// was not.
type ParentError struct{ Parent string }

func (e *ParentError) Error() string {
	return fmt.Sprintf("not built, because its base image:%s failed", e.Parent)
}

func imageErrors(failed map[string]error) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		errs = append(errs, fmt.Errorf("image %q: %w", name, failed[name]))
	}
	return errors.Join(errs...)
}
