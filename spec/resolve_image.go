package spec

import (
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/table"
)

// ResolveImage returns what a machine would want that nobody declared, which boots one
// image and has nothing of its own: no hooks, no defaults of machines.
func (f *Fleet) ResolveImage(ctx context.Context, image string) (*Wants, error) {
	if f.images[image] == nil {
		return nil, &UnknownMachineError{Name: image, Known: f.Machines()}
	}
	with := *f
	with.defaults.Machine = nil
	with.machines = map[string]*machineDecl{image: {machineSettings: machineSettings{Images: []string{image}}}}
	w, err := with.Resolve(ctx, image)
	if err == nil {
		w.Undeclared = true
	}
	return w, err
}

// Foreign returns an image that the config repo does not declare as a machine
// would boot it: as if it were declared under the last word of its reference, with
// the defaults of images, and stood among the machine's. So those hooks apply whose
// images match that name, "*" among them.
func (f *Fleet) Foreign(ctx context.Context, machine, ref string) (Image, error) {
	decl, ok := f.machines[machine]
	if !ok {
		return Image{}, &UnknownMachineError{Name: machine, Known: f.Machines()}
	}
	if wrong, hint := table.Of("image-ref").Text(ref); wrong != "" {
		return Image{}, &ReferenceError{Ref: ref, Wrong: wrong, Hint: hint}
	}
	with := *f
	with.images = maps.Clone(f.images)
	if with.images == nil {
		with.images = map[string]*imageDecl{}
	}
	name := foreignName(ref)
	with.images[name] = &imageDecl{Pull: &ref}
	r := with.resolver(&bounds.Meter{Ctx: ctx, Left: bounds.MaxWork, Enough: bounds.ErrWork}, machine, decl)
	image := r.image(name)
	r.kernelArgs(image)
	image.Hooks = r.hooks(image)
	if err := ctx.Err(); err != nil {
		return image, fmt.Errorf("resolving %s for machine %s: %w", ref, machine, err)
	}
	return image, f.judged(r.Err())
}

// A ReferenceError says that what somebody named is no image's reference.
type ReferenceError struct{ Ref, Wrong, Hint string }

func (e *ReferenceError) Error() string { return fmt.Sprintf("%.200q %s; %s", e.Ref, e.Wrong, e.Hint) }

var notInName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^A-Za-z0-9_-]+`) })

// foreignName makes a name of the last word of a reference.
func foreignName(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	last := strings.TrimSuffix(path.Base(ref), ":"+tagOf(ref))
	name := notInName().ReplaceAllString(last, "-")
	return name[:min(len(name), 64)]
}

// platform is what an image is for, "" if that is left to the computer.
func (i Image) platform() string {
	switch {
	case i.Pull != nil:
		return i.Pull.Platform
	case i.Archive != nil:
		return i.Archive.Platform
	case i.Build != nil:
		return i.Build.Platform
	}
	return ""
}

// checkBoard refuses an image that another kind of machine boots, and arguments that the
// machine's boot loader would change.
func checkBoard(r *resolver, image Image) {
	if b := r.merged.Boot; b != nil && text(b.Loader) == "extlinux" {
		if err := deployment.CheckMacros(image.KernelArgs); err != nil {
			r.Add(r.decl.where.At("images"), image.Name, "its kernel arguments on machine "+r.name+" "+err.Error(), "")
		}
	}
	arch, platform := text(r.merged.Arch), image.platform()
	if parts := strings.Split(platform, "/"); arch != "" && len(parts) > 1 && parts[1] != arch {
		r.Add(r.decl.where.At("images"), image.Name, "is for the platform "+platform+", and machine "+r.name+" has arch = \""+arch+"\"",
			"leave platform out of the image, which is then the machine's, or declare another image")
	}
}
