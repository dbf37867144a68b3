package deployment

import "fmt"

// What is done about a block of a layer that is not what it was.
const (
	// VerityReport has the kernel log it and hand it out as it is.
	VerityReport = "report"
	// VerityEnforce has the kernel refuse to read it.
	VerityEnforce = "enforce"
)

// VerityDevice begins the names of the device mapper's devices that verify the
// layers of the running deployment; the layer's number follows, from 0.
const VerityDevice = "gitboot-layer-"

// Verity says how dm-verity verifies a deployment's layers while they are read.
// Who trusts the manifest, by its id, thereby trusts what is in the layers.
type Verity struct {
	// Mode is VerityReport or VerityEnforce.
	Mode string `json:"mode"`
	// Trees are those of Layers in their order, then of Hooks if there are any.
	Trees []Tree `json:"trees"`
}

// A Tree is the object that holds a layer's hash tree, as package stage/hashtree
// lays it out.
type Tree struct {
	// Root is the hash at the top of the tree, in hex.
	Root string `json:"root"`
	Object
}

// Squashed returns all squashfs objects of the root file system, the lowest first.
func (m *Manifest) Squashed() []Object {
	all := append([]Object{}, m.Layers...)
	if m.Hooks != nil {
		all = append(all, *m.Hooks)
	}
	return all
}

// Tree returns the hash tree of the i-th of Squashed, nil if it has none.
func (m *Manifest) Tree(i int) *Tree {
	if m.Verity == nil {
		return nil
	}
	return &m.Verity.Trees[i]
}

// validateVerity reports what keeps m's layers from being verified as it says.
func (m *Manifest) validateVerity() error {
	v := m.Verity
	if v == nil {
		return nil
	}
	if v.Mode != VerityReport && v.Mode != VerityEnforce {
		return fmt.Errorf("manifest of %q verifies its layers in the unknown mode %.20q", m.Image, v.Mode)
	}
	if want := len(m.Squashed()); len(v.Trees) != want {
		return fmt.Errorf("manifest of %q has %d hash trees for %d layers", m.Image, len(v.Trees), want)
	}
	for _, t := range v.Trees {
		if !IsHash(t.Root) {
			return fmt.Errorf("manifest of %q has a hash tree with the impossible root %.100q", m.Image, t.Root)
		}
	}
	return nil
}
