package spec

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

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
