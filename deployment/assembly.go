package deployment

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kinds of steps by which process 1 comes to the stage's file system where that is on
// no plain disk or partition.
const (
	// AssembleRAID starts an array of the kernel's md. Its ID is the array's UUID.
	AssembleRAID = "raid"
	// AssembleLUKS opens an encrypted device. Its ID is the header's UUID.
	AssembleLUKS = "luks"
	// AssembleLVM activates a logical volume. Its ID is the volume group's UUID and
	// Volume its own, both without hyphens, as the device mapper has them.
	AssembleLVM = "lvm"
)

var assembleKinds = []string{AssembleRAID, AssembleLUKS, AssembleLVM}

// maxSteps are more than anybody stacks.
const maxSteps = 16

// A Step assembles one block device out of others that are there by then.
type Step struct{ Kind, ID, Volume string }

// String returns the form that an Assembly carries.
func (s Step) String() string {
	if s.Kind == AssembleLVM {
		return s.Kind + ":" + s.ID + "/" + s.Volume
	}
	return s.Kind + ":" + s.ID
}

// Check accepts what names a device.
func (s Step) Check() error {
	switch {
	case !slices.Contains(assembleKinds, s.Kind):
		return fmt.Errorf("%.40q is none of %s", s.Kind, strings.Join(assembleKinds, ", "))
	case s.Kind == AssembleLVM && !(isLVMID(s.ID) && isLVMID(s.Volume)):
		return fmt.Errorf("%.40q and %.40q are no UUIDs of a volume group and of a logical volume, without hyphens", s.ID, s.Volume)
	case s.Kind != AssembleLVM && (!isUUID(s.ID) || s.Volume != ""):
		return fmt.Errorf("%.40q is no UUID in lower case", s.ID)
	}
	return nil
}

// isLVMID knows LVM's identifiers (lib/uuid/uuid.c of lvm2), without hyphens.
func isLVMID(s string) bool {
	other := func(r rune) bool { return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') }
	return len(s) == 32 && !strings.ContainsFunc(s, other)
}

func isUUID(s string) bool {
	for i, c := range []byte(s) {
		if hyphen := i == 8 || i == 13 || i == 18 || i == 23; hyphen != (c == '-') || !hyphen && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == 36
}

// An Assembly is what process 1 assembles, and nothing besides, before it looks for the
// stage's file system: steps separated by commas, from the bottom up, so that each finds
// what it is made of. "" is nothing.
type Assembly string

// NewAssembly puts steps together, each of which Check accepts.
func NewAssembly(steps ...Step) Assembly {
	words := make([]string, len(steps))
	for i, s := range steps {
		words[i] = s.String()
	}
	return Assembly(strings.Join(words, ","))
}

// ParseAssembly accepts what NewAssembly makes of at least one step.
func ParseAssembly(s string) (Assembly, error) {
	steps := Assembly(s).Steps()
	if len(steps) == 0 || len(steps) > maxSteps {
		return "", fmt.Errorf("there are %d steps; want 1 to %d", len(steps), maxSteps)
	}
	for _, step := range steps {
		if err := step.Check(); err != nil {
			return "", err
		}
	}
	if a := NewAssembly(steps...); a != Assembly(s) {
		return "", errors.New("it is none of kind:id, separated by commas")
	}
	return Assembly(s), nil
}

// Steps returns the steps.
func (a Assembly) Steps() (steps []Step) {
	if a == "" {
		return nil
	}
	for word := range strings.SplitSeq(string(a), ",") {
		kind, id, _ := strings.Cut(word, ":")
		s := Step{Kind: kind, ID: id}
		if kind == AssembleLVM {
			s.ID, s.Volume, _ = strings.Cut(id, "/")
		}
		steps = append(steps, s)
	}
	return steps
}

// Kinds are those of its steps, sorted, each once.
func (a Assembly) Kinds() (kinds []string) {
	for _, s := range a.Steps() {
		kinds = append(kinds, s.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// Beyond are those of its kinds that are not among others, sorted.
func (a Assembly) Beyond(others []string) []string {
	return slices.DeleteFunc(a.Kinds(), func(kind string) bool { return slices.Contains(others, kind) })
}
