package spec

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/spec/table"
)

// A sourcing finds where an image comes from, for one machine.
type sourcing struct {
	*resolver
	decl *imageDecl
}

// of says where the image comes from. A machine builds the images that it
// lists in builds and those that are pushed nowhere; it pulls the others.
func (s *sourcing) of(image *Image) {
	decl := s.decl
	image.LayerSize = size(s.fetching(&decl.registrySettings).LayerSize)
	switch {
	case decl.Pull != nil:
		image.Pull = s.pull(*decl.Pull)
	case decl.Archive != nil:
		image.Archive = newArchive(*decl.Archive, text(decl.SHA256), decl.Strip)
		image.Archive.Platform = platformFor(s.resolver, s.fetching(&decl.registrySettings).Platform)
	case decl.Build.Push != nil && !s.builds[image.Name]:
		image.Pull = s.pull(*decl.Build.Push)
	default:
		image.Build = s.build()
	}
}

func (s *sourcing) pull(ref string) *Pull {
	return s.pulled(&s.decl.registrySettings, ref)
}

// fetching is how a registry is reached that has settings of its own.
func (s *sourcing) fetching(own *registrySettings) registrySettings {
	layers := []*registrySettings{own}
	if d := s.defaults.Image; d != nil {
		layers = []*registrySettings{&d.registrySettings, own}
	}
	return table.Merge(layers...)
}

func (s *sourcing) pulled(own *registrySettings, ref string) *Pull {
	by := s.fetching(own)
	return objects(&Pull{
		Ref:              ref,
		Mirrors:          slices.Clone(by.Mirrors),
		TrustMirrorTags:  by.TrustMirrorTags != nil && *by.TrustMirrorTags,
		Insecure:         by.Insecure != nil && *by.Insecure,
		CredentialsFile:  text(by.CredentialsFile),
		Platform:         platformFor(s.resolver, by.Platform),
		CosignKey:        keyFile(text(by.CosignKey)),
		CosignRepository: text(by.CosignRepo),
		Update:           text(by.Update),
	}, text(s.merged.Objects), by.ObjectsFrom, s.machines)
}

// build is how the image is made.
func (s *sourcing) build() *Build {
	decl := s.decl.Build
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
		Platform:       platformFor(s.resolver, decl.Platform),
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
	s.base(b)
	s.registries(b)
	return b
}

// registries says how the registries of a build are reached. What the image
// itself says is of its own reference, which is the one that it is pushed to.
func (s *sourcing) registries(b *Build) {
	decl := s.decl.Build
	b.Pulled = *s.pulled(&registrySettings{
		Mirrors: decl.Mirrors, TrustMirrorTags: decl.MirrorTags, Insecure: decl.Insecure, CredentialsFile: decl.Credentials,
		CosignKey: decl.CosignKey, CosignRepo: decl.CosignRepo,
	}, "")
	b.Pulled.Platform, b.Pulled.Update = b.Platform, "" // the build's schedule says when to look
	if decl.Push != nil {
		own := s.pull(*decl.Push)
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
func (s *sourcing) base(b *Build) {
	decl := s.decl.Build
	if parent, ok := strings.CutPrefix(b.From, "image:"); ok {
		image := s.image(parent)
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

// keyFile is where keys are, "" for nowhere.
func keyFile(declared string) string {
	if declared == noKeys {
		return ""
	}
	return declared
}

// noKeys is what an image says that needs no signature, whatever the defaults
// say.
const noKeys = "none"

// tagOf returns the tag of a reference that was checked.
func tagOf(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') && i > 0 {
		return ref[i+1:]
	}
	return "latest"
}

func newArchive(name, sha256 string, strip *int) *Archive {
	a := &Archive{SHA256: sha256, InRepo: inRepo(name)}
	if strip != nil {
		a.Strip = *strip
	}
	switch {
	case table.IsURL(name):
		a.URL = name
	case a.InRepo:
		a.Path = path.Clean(name)
	default:
		a.Path = name
	}
	return a
}
