package spec

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
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

func (r *resolver) build(image *imageDecl) *Build {
	decl := image.Build
	b := &Build{
		From:           text(decl.From),
		Bootstrap:      slices.Clone(decl.Bootstrap),
		Containerfiles: cleaned(decl.Containerfiles),
		Recipe:         cleanPath(decl.Recipe),
		Context:        cleanPath(decl.Context),
		Run:            slices.Clone(decl.Run),
		Args:           maps.Clone(decl.Args),
		Labels:         maps.Clone(decl.Labels),
		Secrets:        maps.Clone(decl.Secrets),
		Platform:       platformFor(r, decl.Platform),
		Engine:         text(decl.Engine),
		Schedule:       text(decl.Schedule),
		Timeout:        duration(decl.Timeout),
		Test:           text(decl.Test),
		Relayer:        text(decl.Relayer),
		NoCache:        decl.NoCache != nil && *decl.NoCache,
		RootfsFixes:    decl.RootfsFixes == nil || *decl.RootfsFixes,
	}
	for _, c := range decl.Copy {
		b.Copy = append(b.Copy, Copy{From: path.Clean(text(c.From)), To: text(c.To)})
	}
	r.base(decl, b)
	r.registries(image, b)
	return b
}

// registries says how the registries of a build are reached. What the image
// itself says is of its own reference, which is the one that it is pushed to.
func (r *resolver) registries(image *imageDecl, b *Build) {
	decl := image.Build
	b.Pulled = *r.pulled(&registrySettings{
		Mirrors: decl.Mirrors, TrustMirrorTags: decl.MirrorTags, Insecure: decl.Insecure, CredentialsFile: decl.Credentials,
		CosignKey: decl.CosignKey, CosignRepo: decl.CosignRepo,
	}, "")
	b.Pulled.Platform, b.Pulled.Update = b.Platform, "" // the build's schedule says when to look
	if decl.Push != nil {
		own := r.pull(image, *decl.Push)
		b.Push = &Push{
			Ref: own.Ref, Insecure: own.Insecure,
			CredentialsFile: cmp.Or(text(decl.Credentials), own.CredentialsFile), Compression: cmp.Or(text(decl.Compression), "zstd"),
		}
		if decl.Deltas != nil {
			b.Push.Deltas = *decl.Deltas
		}
	}
}

// base says what from means.
func (r *resolver) base(decl *buildDecl, b *Build) {
	if parent, ok := strings.CutPrefix(b.From, "image:"); ok {
		image := r.image(parent)
		b.Base = &image
		return
	}
	if archive, ok := strings.CutPrefix(b.From, "archive:"); ok {
		b.FromArchive = newArchive(archive, text(decl.SHA256), decl.Strip)
		b.FromArchive.Platform = b.Platform
		return
	}
	if b.Scratch = b.From == "scratch"; !b.Scratch {
		b.FromRef = b.From
	}
}

func cleaned(names []string) []string {
	out := slices.Clone(names)
	for i := range out {
		out[i] = path.Clean(out[i])
	}
	return out
}

func cleanPath(name *string) string {
	if name == nil {
		return ""
	}
	return path.Clean(*name)
}

// objects says who may have made objects of an image's layers, and what becomes of them.
func objects(p *Pull, use string, from []string, machines map[string]*machineDecl) *Pull {
	const usual = "use"
	if use != usual {
		p.Objects = use
	}
	for _, name := range from {
		if m := machines[name]; m != nil { // that it is there was checked
			p.ObjectKeys = append(p.ObjectKeys, keyFile(text(m.ObjectsKey)))
		}
	}
	return p
}

// platformFor is what is declared of an image, or the machine's own; "" leaves it to
// the computer that fetches or builds.
func platformFor(r *resolver, declared *string) string {
	if arch := text(r.merged.Arch); arch != "" {
		return cmp.Or(text(declared), "linux/"+arch)
	}
	return text(declared)
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
