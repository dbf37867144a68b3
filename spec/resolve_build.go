package spec

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
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
