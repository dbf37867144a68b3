package state

import (
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/internal/progress"
)

// Fetched is how layers came to the stage: so many each way, Bytes in all. Whole is what
// they would have been without what was on the stage. Bytes are more where something was
// fetched in vain.
type Fetched struct {
	Bytes int64 `json:"bytes"`
	Whole int64 `json:"whole"`
	// Layers were made here of what the image has, Objects had been made by others, and
	// of Blocks only parts were fetched; of Patches these were made out of older ones; of
	// Parts only files were that the stage had not, and they were made here.
	Layers  int `json:"layers,omitempty"`
	Objects int `json:"objects,omitempty"`
	Blocks  int `json:"blocks,omitempty"`
	Patches int `json:"patches,omitempty"`
	Parts   int `json:"parts,omitempty"`
	// Vain is how many of Bytes were fetched to find out that a layer comes sooner whole.
	Vain int64 `json:"vain,omitempty"`
	// Unfit says that a patch came out otherwise here than where it was made, and was not
	// worth fetching.
	Unfit bool `json:"unfit,omitempty"`
	// From are those it came of, as far as they are registries and the like, by their names.
	From []Giver `json:"from,omitempty"`
}

// Words says what of it is not as usual: what came of others than registries, and what
// was fetched in vain; "" if nothing is.
func (f *Fetched) Words() string {
	if f == nil {
		return ""
	}
	var words []string
	for _, g := range f.From {
		if g.Kind != registry {
			words = append(words, fmt.Sprintf("%s of %s %s", progress.Bytes(g.Bytes), g.Kind, g.Host))
		}
	}
	if f.Vain > 0 {
		words = append(words, progress.Bytes(f.Vain)+" in vain")
	}
	if f.Unfit {
		words = append(words, "a patch in vain")
	}
	return strings.Join(words, ", ")
}

// registry is the kind of those from which all comes where nobody is nearer.
const registry = "registry"

// A Giver is a peer, a mirror or a registry, Host its address or name, and Bytes what came
// of it of an image's layers, and of what was published of these and of its kernel.
type Giver struct {
	Kind  string `json:"kind"`
	Host  string `json:"host"`
	Bytes int64  `json:"bytes"`
}
