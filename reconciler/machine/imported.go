package machine

import (
	"fmt"
	"path"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
)

// maxObject is more than an object is, and so little that the sizes of all that
// a manifest can name have a sum.
const maxObject = 1 << 45

// checkImported accepts of a manifest that came as a file what a config repo
// could have led to: it passed no other check on its way here.
func checkImported(id string, m *deployment.Manifest, machine string, fs boot.Filesystem) error {
	if wrong := wrongImported(m); wrong != "" {
		return fmt.Errorf("the file's manifest says what no config repo may: its %s", wrong)
	}
	if err := deployment.CheckArgs(machine, m.Image, m.KernelArgs); err != nil {
		return fmt.Errorf("the kernel arguments of %q %w", m.Image, err)
	}
	e := menu.Entry(m.Image, machine, state.Generation{Deployment: id}, m, fs)
	if err := e.Check(fs); err != nil {
		return fmt.Errorf("deployment %s cannot be put into the boot menu: %w", id, err)
	}
	if err := menu.Assembles(m, plan.Inputs{}, fs); err != nil {
		return fmt.Errorf("deployment %s would not boot here: %w", id, err)
	}
	return nil
}

func wrongImported(m *deployment.Manifest) string {
	if m.Recovery {
		return "deployment is a recovery entry's, which each machine makes itself"
	}
	if wrong := spec.WrongText("name", m.Image); wrong != "" {
		return fmt.Sprintf("image's name %.100q %s", m.Image, wrong)
	}
	for _, arg := range m.KernelArgs {
		if wrong := spec.WrongText("kernel-arg", arg); wrong != "" {
			return fmt.Sprintf("kernel argument %.100q %s", arg, wrong)
		}
	}
	if wrong := spec.WrongText("tmpfs-size", m.Root.TmpfsSize); m.Root.TmpfsSize != "" && wrong != "" {
		return fmt.Sprintf("size of the writable layer %.100q %s", m.Root.TmpfsSize, wrong)
	}
	if u := m.Root.Upper; u != nil && (u.Device != "" && spec.WrongText("root-device", u.Device) != "" || spec.WrongText("folder", u.Path) != "") {
		return fmt.Sprintf("writable layer, %.200q, is not on a disk that a config repo could name", u)
	}
	if v := m.KernelVersion; deployment.CheckText(v) != nil || strings.Contains(v, "/") || path.Clean(v) != v || v == ".." {
		return fmt.Sprintf("kernel version %.100q is no folder's name", v)
	}
	for _, p := range m.AtBoot {
		if path.Dir(p) != kind.AtBootDir || deployment.CheckText(p) != nil || m.Hooks == nil {
			return fmt.Sprintf("at-boot script %.100q is none of a hook's", p)
		}
	}
	for _, o := range m.Objects() {
		if o.Size > maxObject {
			return fmt.Sprintf("object %s has an impossible size", o.SHA256)
		}
	}
	return ""
}
