package state

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/nearest"
)

// Found is a generation that a user named.
type Found struct {
	Image string
	Generation
}

// Name is how commands name the generation.
func (f Found) Name() string { return fmt.Sprintf("%s:%d", f.Image, f.N) }

// Find returns the generation that name means: IMAGE (its newest), IMAGE:N, a
// boot entry's id, or a deployment's id or the beginning of one.
func (m *Machine) Find(name string) (Found, error) {
	image, number, _ := strings.Cut(name, ":")
	var found []Found
	for candidate, img := range m.Images {
		for i, g := range img.Generations {
			newest := i == len(img.Generations)-1
			switch {
			case candidate == name && newest,
				candidate == image && number == strconv.Itoa(g.N),
				boot.EntryID(candidate, g.Deployment) == name,
				len(name) >= 6 && strings.HasPrefix(g.Deployment, name):
				found = append(found, Found{candidate, g})
			}
		}
	}
	switch len(found) {
	case 0:
		return Found{}, &NameError{None: "the stage has no generation", Name: name, Known: slices.Sorted(maps.Keys(m.Images)), Remedy: "`gitboot boot list` shows all"}
	case 1:
		return found[0], nil
	}
	return Found{}, &NameError{None: fmt.Sprintf("the stage has not one but %d generations", len(found)), Name: name, Remedy: "give more of the id"}
}

// Before returns the generation before one of the same image.
func (m *Machine) Before(f Found) (Found, error) {
	generations := m.Images[f.Image].Generations
	i := slices.IndexFunc(generations, func(g Generation) bool { return g.N == f.N })
	if i <= 0 {
		return Found{}, fmt.Errorf("compare %s:%d: the stage has no generation before it; name two to compare, `gitboot boot list` shows those on the stage", f.Image, f.N)
	}
	return Found{f.Image, generations[i-1]}, nil
}

// MenuOrder returns the names of images as the menu shows them: the wanted
// ones in their order, then those that are there for another reason.
func (m *Machine) MenuOrder() []string {
	names := slices.Clone(m.Order)
	for _, name := range slices.Sorted(maps.Keys(m.Images)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// A NameError says that there is nothing of the name that somebody gave.
type NameError struct {
	// None says what there is none of: `machine "laptop" has no image`.
	None, Name string
	Known      []string
	// Remedy says what else to do, if there is something.
	Remedy string
}

func (e *NameError) Error() string {
	text := fmt.Sprintf("%s %q%s", e.None, e.Name, nearest.Hint(e.Name, e.Known))
	if len(e.Known) > 0 {
		text += "; choose one of: " + nearest.List(e.Known)
	}
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}
