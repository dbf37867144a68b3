package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/problem"
	"github.com/gitboot/gitboot/spec/table"
)

// A linker checks what declarations say of each other, once every one is known.
type linker struct {
	*loader
	targets
}

func (l *linker) link() {
	f := l.fleet
	if m := f.defaults.Machine; m != nil {
		l.machineRefs(f.defaults.where.At("machine"), m)
	}
	if i := f.defaults.Image; i != nil {
		l.objectsFrom(f.defaults.where.At("image").At("objects_from"), i.ObjectsFrom)
	}
	for _, name := range sortedKeys(f.profiles) {
		profile := f.profiles[name]
		l.refs(l.profiles, profile.where.At("profiles"), profile.Profiles)
		l.machineRefs(profile.where, &profile.machineSettings)
	}
	signed := l.fleet.namesSigners()
	for _, name := range f.Machines() {
		m := f.machines[name]
		l.refs(l.profiles, m.where.At("profiles"), m.Profiles)
		l.machineRefs(m.where, &m.machineSettings)
		l.machine(m)
		if signed {
			l.signer(name, m)
		}
	}
	for _, name := range f.Images() {
		l.imageRefs(name, f.images[name])
	}
	for _, name := range f.Hooks() {
		l.hookRefs(f.hooks[name])
	}
	for _, name := range sortedKeys(f.secrets) {
		l.globs(l.machines, f.secrets[name].where.At("machines"), f.secrets[name].Machines)
	}
	l.machineIDs()
	l.pushes()
	l.cycles()
}

// A target is what one kind of reference can name.
type target struct {
	kind  string
	names []string
	known map[string]bool
	hints map[string]string // a name is often missed by many
}

type targets struct{ profiles, images, hooks, machines, secrets *target }

func newTargets(f *Fleet) targets {
	hooks := append(f.Hooks(), kind.Names()...)
	slices.Sort(hooks)
	return targets{
		profiles: newTarget("profile", sortedKeys(f.profiles)),
		images:   newTarget("image", f.Images()),
		hooks:    newTarget("hook", slices.Compact(hooks)),
		machines: newTarget("machine", f.Machines()),
		secrets:  newTarget("secret", sortedKeys(f.secrets)),
	}
}

func newTarget(kind string, names []string) *target {
	t := &target{kind: kind, names: names, known: map[string]bool{}, hints: map[string]string{}}
	for _, name := range names {
		t.known[name] = true
	}
	return t
}

func (t *target) hint(name string) string {
	hint, ok := t.hints[name]
	if !ok && len(t.hints) < problem.Max { // each looks at all names
		hint = nearest.Hint(name, t.names)
		t.hints[name] = hint
	}
	return hint
}

// ref checks one reference. An empty name was reported as no string.
func (l *linker) ref(t *target, p position.Place, name string) {
	if name != "" && !t.known[name] {
		remedy := fmt.Sprintf("declare [%s.%s], or correct the name", t.kind, name)
		if message, hint := table.Of("name").Text(name); message != "" {
			remedy = "one name is written here, and no glob or list in one string; " + hint
		}
		l.Add(p, name, fmt.Sprintf("is no %s of this repo%s", t.kind, t.hint(name)), remedy)
	}
}

// refs checks a list of references, each of which may be there once.
func (l *linker) refs(t *target, p position.Place, names []string) {
	listed := make(map[string]bool, len(names))
	for i, name := range names {
		if listed[name] {
			l.Add(p.Item(i), name, "is listed twice", "remove one")
			continue
		}
		listed[name] = true
		l.ref(t, p.Item(i), name)
	}
}

func (l *linker) machineRefs(p position.Place, m *machineSettings) {
	l.refs(l.images, p.At("images"), m.Images)
	l.refs(l.hooks, p.At("hooks"), m.Hooks)
	l.refs(l.hooks, p.At("hooks_append"), m.HooksAppend)
	l.refs(l.images, p.At("builds"), m.Builds)
	for i, name := range m.Builds {
		if image := l.fleet.images[name]; image != nil && image.Build == nil {
			l.Add(p.At("builds").Item(i), name, fmt.Sprintf("is not an image that is built, see %s", image.where), "remove it, or give the image a build")
		}
	}
}

// merged are a machine's profiles, false where the repo has declared too much: they are not
// even looked for then.
func (l *linker) merged(m *machineDecl) ([]*profileDecl, bool) {
	if l.full {
		return nil, false
	}
	profiles := l.fleet.profilesOf(m.Profiles)
	return profiles, l.spend(len(profiles))
}

// namesSigners says whether anything of the repo names who signs what a machine boots.
func (f *Fleet) namesSigners() bool {
	for _, m := range f.machines {
		if signerOf(&m.machineSettings) != nil {
			return true
		}
	}
	for _, p := range f.profiles {
		if signerOf(&p.machineSettings) != nil {
			return true
		}
	}
	return f.defaults.Machine != nil && signerOf(f.defaults.Machine) != nil
}

func signerOf(m *machineSettings) *string {
	if m.Boot == nil {
		return nil
	}
	return m.Boot.Signer
}

// signer notes who signs what a machine boots.
func (l *linker) signer(name string, m *machineDecl) {
	profiles, ok := l.merged(m)
	if !ok {
		return
	}
	signer := text(last(l.fleet, profiles, m, signerOf))
	place := m.where
	if signerOf(&m.machineSettings) != nil {
		place = place.At("boot").At("signed_by")
	}
	switch {
	case signer == "":
	case signer == name:
		l.Add(place, signer, "signs what it boots itself", "leave it out, and have db.key there")
	case !l.machines.known[signer]:
		l.ref(l.machines, place, signer)
	default:
		l.fleet.signs[signer] = append(l.fleet.signs[signer], name)
	}
}

// machine checks what must hold once a machine's profiles are merged.
func (l *linker) machine(m *machineDecl) {
	images := m.Images
	if d := l.fleet.defaults.Machine; images == nil && d != nil {
		images = d.Images
	}
	if m.Images == nil {
		profiles, ok := l.merged(m)
		if !ok {
			return
		}
		for _, p := range profiles {
			if p.Images != nil {
				images = p.Images
			}
		}
	}
	if len(images) == 0 {
		l.Add(m.where, "", "has no images", "add images = […] here or in a profile: without one there is nothing to boot")
	}
}

func (l *linker) imageRefs(name string, image *imageDecl) {
	l.objectsFrom(image.where.At("objects_from"), image.ObjectsFrom)
	if parent := image.parent(); parent != "" {
		l.ref(l.images, image.Build.where.At("from"), parent)
	}
}

// objectsFrom checks machines whose objects are believed: they must say by which key.
func (l *linker) objectsFrom(p position.Place, names []string) {
	l.refs(l.machines, p, names)
	for i, name := range names {
		if m := l.fleet.machines[name]; m != nil && keyFile(text(m.ObjectsKey)) == "" {
			l.Add(p.Item(i), name, "is a machine without objects_key", "give it the public key by which its objects are signed")
		}
	}
}

// parent is the image that this one is built from, or "".
func (i *imageDecl) parent() string {
	if i.Build == nil {
		return ""
	}
	name, ok := strings.CutPrefix(text(i.Build.From), "image:")
	if !ok {
		return ""
	}
	return name
}

func (l *linker) hookRefs(h *hookDecl) {
	l.globs(l.images, h.where.At("images"), h.Images)
	l.globs(l.images, h.where.At("exclude"), h.Exclude)
	for _, targets := range h.targets() {
		for _, t := range targets {
			l.globs(l.images, t.where.At("images"), t.Images)
		}
	}
	for i := range h.File {
		l.ref(l.secrets, h.File[i].where.At("secret"), text(h.File[i].Secret))
	}
	for i := range h.Run {
		l.refs(l.secrets, h.Run[i].where.At("secrets"), h.Run[i].Secrets)
	}
}

// globs checks the names in globs that are no globs.
func (l *linker) globs(t *target, p position.Place, globs []string) {
	for i, glob := range globs {
		if name, _, _ := strings.Cut(glob, ":"); !strings.ContainsAny(name, `*?[\`) {
			l.ref(t, p.Item(i), name)
		}
	}
}

// machineIDs holds that no two machines share an id.
func (l *linker) machineIDs() {
	owners := map[string]*machineDecl{}
	for _, name := range l.fleet.Machines() {
		m := l.fleet.machines[name]
		id := text(m.MachineID)
		if id == "" {
			continue
		}
		if first, ok := owners[id]; ok {
			l.Add(m.where.At("machine_id"), id, fmt.Sprintf("is also the id of another machine, at %s", first.where.At("machine_id")),
				"take each machine's from its /etc/machine-id")
			continue
		}
		owners[id] = m
	}
}

// pushes holds that no two images are published as one, and that none is its
// own base.
func (l *linker) pushes() {
	owners := map[string]*imageDecl{}
	for _, name := range l.fleet.Images() {
		image := l.fleet.images[name]
		if image.Build == nil || image.Build.Push == nil {
			continue
		}
		ref, p := *image.Build.Push, image.Build.where.At("push")
		if first, ok := owners[ref]; ok {
			l.Add(p, ref, fmt.Sprintf("is also where another image is published, at %s", first.Build.where.At("push")), "give each a repository or a tag of its own")
			continue
		}
		owners[ref] = image
		if text(image.Build.From) == ref {
			l.Add(p, ref, "is also what the image is built from, so that each build would be put on the one before", "push it under another name")
		}
	}
}

// cycles reports profiles and images that lead back to themselves.
func (l *linker) cycles() {
	f := l.fleet
	for _, cycle := range findCycles(sortedKeys(f.profiles), func(name string) []string { return f.profiles[name].Profiles }) {
		l.Add(f.profiles[cycle[0]].where.At("profiles"), strings.Join(cycle, " → "), "goes round in a circle", "remove one of them")
	}
	parents := func(name string) []string {
		if parent := f.images[name].parent(); parent != "" {
			return []string{parent}
		}
		return nil
	}
	for _, cycle := range findCycles(f.Images(), parents) {
		l.Add(f.images[cycle[0]].Build.where.At("from"), strings.Join(cycle, " → "), "goes round in a circle", "build one of them from something else")
	}
}

// findCycles returns each cycle once, from the first of its names that is
// reached back to that name.
func findCycles(names []string, next func(string) []string) [][]string {
	const onWay, done = 1, 2
	state := make(map[string]int, len(names))
	known := make(map[string]bool, len(names))
	for _, name := range names {
		known[name] = true
	}
	var cycles [][]string
	var way []string
	var visit func(string)
	visit = func(name string) {
		switch {
		case !known[name] || state[name] == done:
			return
		case len(cycles) == problem.Max:
			return
		case state[name] == onWay:
			i := slices.Index(way, name)
			cycles = append(cycles, append(slices.Clone(way[i:]), name))
			return
		}
		state[name], way = onWay, append(way, name)
		for _, to := range next(name) {
			visit(to)
		}
		state[name], way = done, way[:len(way)-1]
	}
	for _, name := range names {
		visit(name)
	}
	return cycles
}
