package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// Inputs is everything that decides one deployment. Equal inputs mean that
// there is nothing to do for an image.
type Inputs struct {
	// ImageDigest is the digest of the image's manifest or archive.
	ImageDigest string `json:"imageDigest"`
	// Hooks is the key of the hooks that apply to the image, and of their
	// contents.
	Hooks string `json:"hooks"`
	// FormerDisk is the key of what is taken out of the image because it is of
	// the disk that it was installed on, empty for nothing. Looked is which
	// version of that look found it, 0 for none.
	FormerDisk string `json:"formerDisk,omitempty"`
	Looked     int    `json:"looked,omitempty"`
	// Init tells builds of the init program in the initramfs apart.
	Init       string   `json:"init"`
	Kernel     string   `json:"kernel,omitempty"`
	KernelArgs []string `json:"kernelArgs,omitempty"`
	TmpfsSize  string   `json:"tmpfsSize,omitempty"`
	CopyToRAM  bool     `json:"copyToRAM,omitempty"`
	// Upper is where on a disk the writable layer lies, nil for memory.
	Upper *deployment.Upper `json:"upper,omitempty"`
	// Verity is how layers are verified, empty if they are not.
	Verity string `json:"verity,omitempty"`
	// Assembles are the kinds of devices that are put together at boot on the way to the
	// stage, none for a stage on a plain disk or partition.
	Assembles []string `json:"assembles,omitempty"`
	// Health says when a boot counts as good, nil where nothing is declared.
	Health *deployment.Health `json:"health,omitempty"`
}

func differences(w Want, have []Generation) []string {
	choice := ""
	if w.Choice != "" {
		choice = " (" + w.Choice + ")"
	}
	if len(have) == 0 {
		return []string{"first deployment" + choice}
	}
	last := have[len(have)-1]
	if last.Inputs.ImageDigest == "" {
		return []string{"the last generation was imported from a file"}
	}
	var reasons []string
	add := func(differs bool, format string, args ...any) {
		if differs {
			reasons = append(reasons, fmt.Sprintf(format, args...))
		}
	}
	was, is := last.Inputs, w.Inputs
	add(w.Building, "the image is built; not needed if its layers come out the same")
	add(!w.Building && was.ImageDigest != is.ImageDigest, "image %s → %s%s", Short(was.ImageDigest), Short(is.ImageDigest), choice)
	add(was.Hooks != is.Hooks, "hooks changed")
	add(!w.Building && was.ImageDigest == is.ImageDigest && was.FormerDisk != is.FormerDisk, "what is of the image's former disk is taken out")
	add(!slices.Equal(was.KernelArgs, is.KernelArgs), "kernel arguments %q → %q", strings.Join(was.KernelArgs, " "), strings.Join(is.KernelArgs, " "))
	add(was.Kernel != is.Kernel, "kernel %s → %s", cmp.Or(was.Kernel, "newest"), cmp.Or(is.Kernel, "newest"))
	add(was.TmpfsSize != is.TmpfsSize, "tmpfs_size %s → %s", cmp.Or(was.TmpfsSize, "default"), cmp.Or(is.TmpfsSize, "default"))
	add(was.CopyToRAM != is.CopyToRAM, "copy_to_ram %t → %t", was.CopyToRAM, is.CopyToRAM)
	add(!was.Upper.Equal(is.Upper), "writable layer %s → %s", was.Upper, is.Upper)
	add(was.Verity != is.Verity, "verity %s → %s", cmp.Or(was.Verity, "off"), cmp.Or(is.Verity, "off"))
	add(!slices.Equal(was.Assembles, is.Assembles), "the stage is on %s, was on %s", below(is.Assembles), below(was.Assembles))
	add(!was.Health.Equal(is.Health), "health changed")
	add(was.Init != is.Init, "gitboot-init changed")
	add(last.Damaged != "", "%s", last.Damaged)
	return reasons
}

// below says what a stage is on.
func below(kinds []string) string { return cmp.Or(strings.Join(kinds, " and "), "a plain disk") }
