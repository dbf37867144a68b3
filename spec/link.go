package spec

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
)

// link checks what declarations say of each other and of the repo's files.
// References are left alone unless every declaration is known.
func (l *loader) link(known bool) {
	f := l.fleet
	for _, name := range f.Images() {
		l.imageFiles(f.images[name])
	}
	for _, name := range f.Hooks() {
		l.hookFiles(f.hooks[name])
	}
	if !known {
		return
	}
	k := l.targets()
	if m := f.defaults.Machine; m != nil {
		l.machineRefs(k, f.defaults.where.at("machine"), m)
	}
	for _, name := range sortedKeys(f.profiles) {
		profile := f.profiles[name]
		l.refs(k.profiles, profile.where.at("profiles"), profile.Profiles)
		l.machineRefs(k, profile.where, &profile.machineSettings)
	}
	for _, name := range f.Machines() {
		m := f.machines[name]
		l.refs(k.profiles, m.where.at("profiles"), m.Profiles)
		l.machineRefs(k, m.where, &m.machineSettings)
		l.machine(m)
	}
	for _, name := range f.Images() {
		l.imageRefs(k, name, f.images[name])
	}
	for _, name := range f.Hooks() {
		l.hookRefs(k, f.hooks[name])
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

type targets struct{ profiles, images, hooks *target }

func (l *loader) targets() targets {
	f := l.fleet
	hooks := append(f.Hooks(), kind.Names()...)
	slices.Sort(hooks)
	return targets{
		profiles: newTarget("profile", sortedKeys(f.profiles)),
		images:   newTarget("image", f.Images()),
		hooks:    newTarget("hook", slices.Compact(hooks)),
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
	if !ok && len(t.hints) < maxProblems { // each looks at all names
		hint = nearest.Hint(name, t.names)
		t.hints[name] = hint
	}
	return hint
}

// ref checks one reference. An empty name was reported as no string.
func (l *loader) ref(t *target, p place, name string) {
	if name != "" && !t.known[name] {
		remedy := fmt.Sprintf("declare [%s.%s], or correct the name", t.kind, name)
		if message, hint := nameCheck.text(name); message != "" {
			remedy = "one name is written here, and no glob or list in one string; " + hint
		}
		l.add(p, name, fmt.Sprintf("is no %s of this repo%s", t.kind, t.hint(name)), remedy)
	}
}

// refs checks a list of references, each of which may be there once.
func (l *loader) refs(t *target, p place, names []string) {
	listed := make(map[string]bool, len(names))
	for i, name := range names {
		if listed[name] {
			l.add(p.item(i), name, "is listed twice", "remove one")
			continue
		}
		listed[name] = true
		l.ref(t, p.item(i), name)
	}
}

func (l *loader) machineRefs(k targets, p place, m *machineSettings) {
	l.refs(k.images, p.at("images"), m.Images)
	l.refs(k.hooks, p.at("hooks"), m.Hooks)
	l.refs(k.hooks, p.at("hooks_append"), m.HooksAppend)
	l.refs(k.images, p.at("builds"), m.Builds)
	for i, name := range m.Builds {
		if image := l.fleet.images[name]; image != nil && image.Build == nil {
			l.add(p.at("builds").item(i), name, fmt.Sprintf("is not an image that is built, see %s", image.where), "remove it, or give the image a build")
		}
	}
}

// machine checks what must hold once a machine's profiles are merged.
func (l *loader) machine(m *machineDecl) {
	images := m.Images
	if d := l.fleet.defaults.Machine; images == nil && d != nil {
		images = d.Images
	}
	if m.Images == nil {
		profiles := l.fleet.profilesOf(m.Profiles)
		if !l.spend(len(profiles)) {
			return
		}
		for _, p := range profiles {
			if p.Images != nil {
				images = p.Images
			}
		}
	}
	if len(images) == 0 {
		l.add(m.where, "", "has no images", "add images = […] here or in a profile: without one there is nothing to boot")
	}
}

func (l *loader) imageRefs(k targets, name string, image *imageDecl) {
	if parent := image.parent(); parent != "" {
		l.ref(k.images, image.Build.where.at("from"), parent)
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

func (l *loader) hookRefs(k targets, h *hookDecl) {
	l.globs(k, h.where.at("images"), h.Images)
	l.globs(k, h.where.at("exclude"), h.Exclude)
	for _, targets := range h.targets() {
		for _, t := range targets {
			l.globs(k, t.where.at("images"), t.Images)
		}
	}
}

// globs checks the names in globs that are no globs.
func (l *loader) globs(k targets, p place, globs []string) {
	for i, glob := range globs {
		if name, _, _ := strings.Cut(glob, ":"); !strings.ContainsAny(name, `*?[\`) {
			l.ref(k.images, p.item(i), name)
		}
	}
}

// machineIDs holds that no two machines share an id.
func (l *loader) machineIDs() {
	owners := map[string]*machineDecl{}
	for _, name := range l.fleet.Machines() {
		m := l.fleet.machines[name]
		id := text(m.MachineID)
		if id == "" {
			continue
		}
		if first, ok := owners[id]; ok {
			l.add(m.where.at("machine_id"), id, fmt.Sprintf("is also the id of another machine, at %s", first.where.at("machine_id")),
				"take each machine's from its /etc/machine-id")
			continue
		}
		owners[id] = m
	}
}

// pushes holds that no two images are published as one, and that none is its
// own base.
func (l *loader) pushes() {
	owners := map[string]*imageDecl{}
	for _, name := range l.fleet.Images() {
		image := l.fleet.images[name]
		if image.Build == nil || image.Build.Push == nil {
			continue
		}
		ref, p := *image.Build.Push, image.Build.where.at("push")
		if first, ok := owners[ref]; ok {
			l.add(p, ref, fmt.Sprintf("is also where another image is published, at %s", first.Build.where.at("push")), "give each a repository or a tag of its own")
			continue
		}
		owners[ref] = image
		if text(image.Build.From) == ref {
			l.add(p, ref, "is also what the image is built from, so that each build would be put on the one before", "push it under another name")
		}
	}
}

// file checks a path in the repo; folder says which of the two it must be. A
// path that is none was reported before.
func (l *loader) file(p place, name string, folder bool) (ok bool) {
	if message, _ := checks["repo-path"].text(name); message != "" || !l.spend(10) {
		return false
	}
	info, err := fs.Stat(l.fleet.fsys, path.Clean(name))
	switch {
	case err != nil:
		hint := "add it, or correct the path; paths begin at the repo's root"
		beside := path.Join(path.Dir(p.file), name)
		if _, err := fs.Stat(l.fleet.fsys, beside); err == nil {
			hint = fmt.Sprintf("paths begin at the repo's root: write %q", beside)
		}
		l.add(p, name, "is not in the repo", hint)
	case info.IsDir() && !folder:
		l.add(p, name, "is a folder", "name a file")
	case !info.IsDir() && folder:
		l.add(p, name, "is not a folder", "name a folder")
	default:
		return true
	}
	return false
}
