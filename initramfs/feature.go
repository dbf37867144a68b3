package initramfs

import (
	"fmt"
	"slices"

	"github.com/gitboot/gitboot/rootfs"
)

// A feature is what the initramfs carries for one purpose. Each that adds files is in one of
// its own, and what process 1 does with it is in one of package early.
type feature struct {
	name string
	// required are modules without which it does not work; what of wanted the
	// kernel has is taken, too. Either may be built in.
	required, wanted []string
	// options of the kernel are built in or a module. They are looked at where
	// the image says how its kernel was built.
	options []string
	// drivers are folders, below the modules' own, of whose modules those are taken
	// that drive a device and need nothing unwanted.
	drivers, unwanted []string
	// paths of the image decide what add does: its share of the key.
	paths []string
	// add puts its files into the archive; nil has none.
	add func(*rootfs.Tree, *archive) error
	// early puts files into the archive that comes first, and is not compressed.
	early func(*rootfs.Tree, *archive) error
	// otherwise is what to do besides putting another kernel into the image.
	otherwise string
}

// features returns what an initramfs has.
func features(o Options) []feature {
	list := []feature{base(), shell(), microcode()}
	if o.Verity {
		list = append(list, verity())
	}
	if o.Medium {
		list = append(list, medium())
	}
	for _, kind := range o.Assembles {
		list = append(list, assembles(kind))
	}
	if o.Recovery != nil {
		list = append(list, recovery(o.Recovery))
	}
	return list
}

// namedBy returns the modules that features name, and checks that the kernel has
// what they cannot do without.
func (s *moduleSet) namedBy(all []feature, version string) (names []string, err error) {
	for _, f := range all {
		for _, name := range f.required {
			if s.byName[name] == nil && !s.builtIn[name] {
				return nil, fmt.Errorf("choosing modules of kernel %s: it has no %s, neither as a module nor built in, which %s needs; put a kernel with it into the image%s", version, name, f.name, f.otherwise)
			}
		}
		names = slices.Concat(names, f.required, f.wanted)
	}
	return names, nil
}

// check reports what a kernel lacks that no module can bring.
func (c kernelConfig) check(all []feature, version string) error {
	if c == nil {
		return nil
	}
	for _, f := range all {
		for _, option := range f.options {
			if v := c[option]; v != "y" && v != "m" {
				return fmt.Errorf("checking the configuration of kernel %s: it is built without %s, which %s needs; put a kernel with it into the image%s", version, option, f.name, f.otherwise)
			}
		}
	}
	return nil
}
