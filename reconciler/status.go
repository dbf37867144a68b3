package reconciler

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// Status is what `gitboot status` shows. The JSON fields are stable.
type Status struct {
	Machine  string `json:"machine"`
	Revision string `json:"revision"`
	Stage    string `json:"stage"`
	Booted   string `json:"booted,omitempty"`
	// Mode is the menu's, Default the entry that boots by itself, empty in
	// mode "menu".
	Mode    string `json:"mode"`
	Default string `json:"default,omitempty"`
	// Failure is why the last run ended without having looked at all images.
	Failure *Failure      `json:"failure,omitempty"`
	Images  []ImageStatus `json:"images"`
	// Builds are the images that are built here, by name.
	Builds []BuildStatus `json:"builds"`
	// Pushes are the images that this machine publishes, by name.
	Pushes []PushStatus `json:"pushes"`
}

// PushStatus is what was published of an image: Digest and Tag, the dated one,
// are empty if nothing was yet.
type PushStatus struct {
	Image   string    `json:"image"`
	Ref     string    `json:"ref"`
	Tag     string    `json:"tag"`
	Digest  string    `json:"digest"`
	Time    time.Time `json:"time,omitzero"`
	Failure *Failure  `json:"failure,omitempty"`
}

// BuildStatus is what is known of an image that is built here: Digest, Built and
// Revision are those of its last build that succeeded.
type BuildStatus struct {
	Image    string    `json:"image"`
	Digest   string    `json:"digest"`
	Built    time.Time `json:"built,omitzero"`
	Revision string    `json:"revision"`
	Failure  *Failure  `json:"failure,omitempty"`
}

// builds returns what is known of built images.
func (s *State) builds() []BuildStatus {
	out := []BuildStatus{}
	for _, name := range slices.Sorted(maps.Keys(s.Builds)) {
		b := s.build(name)
		status := BuildStatus{Image: name, Digest: b.Digest, Built: b.Built, Revision: b.Revision}
		if b.Failure != nil {
			f := *b.Failure
			f.Key = "" // nobody else's business
			status.Failure = &f
		}
		out = append(out, status)
	}
	return out
}

// pushes returns what is known of published images.
func (s *State) pushes() []PushStatus {
	out := []PushStatus{}
	for _, name := range slices.Sorted(maps.Keys(s.Builds)) {
		if p := s.Builds[name].Push; p != nil {
			ps := PushStatus{Image: name, Ref: p.Ref, Tag: p.Tag, Digest: p.Digest, Time: p.Time}
			if p.Failure != nil {
				ps.Failure = &Failure{Message: p.Failure.Message, Since: p.Failure.Since}
			}
			out = append(out, ps)
		}
	}
	return out
}

// ImageStatus is one image's part of a Status.
type ImageStatus struct {
	Name        string             `json:"name"`
	Digest      string             `json:"digest"`
	Checked     time.Time          `json:"checked,omitzero"`
	Generations []GenerationStatus `json:"generations"`
	Failure     *Failure           `json:"failure,omitempty"`
}

// GenerationStatus is one generation's part of an ImageStatus.
type GenerationStatus struct {
	Generation int       `json:"generation"`
	Deployment string    `json:"deployment"`
	Entry      string    `json:"entry"`
	Revision   string    `json:"revision"`
	Created    time.Time `json:"created"`
	Digest     string    `json:"digest"`
	Booted     bool      `json:"booted"`
	Damaged    string    `json:"damaged,omitempty"`
	// Hidden says why the boot menu has no entry for it, empty if it has.
	Hidden string `json:"hidden,omitempty"`
	// Packages is how the packages differ from the generation before it.
	Packages *packages.Summary `json:"packages,omitempty"`
}

// Status reports what is staged, newest generation first, images as the menu shows them.
// It asks neither the config repo nor a registry.
func (r *Reconciler) Status(ctx context.Context) (Status, error) {
	state, err := LoadState(r.Stage)
	if err != nil {
		return Status{}, err
	}
	// What is published can be read where the boot loader cannot.
	shown, err := grub.Booted(r.Stage).Entries()
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Machine: state.Machine, Revision: state.Revision, Stage: r.place, Booted: r.Booted,
		Default: state.defaultEntry(shown), Mode: cmp.Or(state.Mode, "menu"), Failure: state.Failure,
		Images: []ImageStatus{}, Builds: state.builds(), Pushes: state.pushes(),
	}
	for _, name := range state.menuOrder() {
		if img := state.Images[name]; img != nil {
			s.Images = append(s.Images, r.imageStatus(ctx, name, state.Machine, img, shown))
		}
	}
	return s, nil
}

// defaultEntry returns the id of the entry, of those that are shown, that boots
// by itself, "" if that is the distribution's business.
func (s *State) defaultEntry(shown map[string]bool) string {
	if s.Mode != boot.ModeManaged {
		return ""
	}
	var m boot.Menu
	for _, name := range s.menuOrder() {
		image := boot.MenuImage{Name: name}
		if img := s.Images[name]; img != nil {
			for _, g := range slices.Backward(img.Generations) {
				if id := boot.EntryID(name, g.Deployment); shown[id] {
					image.Entries = append(image.Entries, boot.Entry{ID: id})
				}
			}
		}
		if len(image.Entries) > 0 {
			m.Images = append(m.Images, image)
		}
	}
	m.Choose(s.Default)
	return m.Default
}

func (r *Reconciler) imageStatus(ctx context.Context, name, machine string, img *ImageState, shown map[string]bool) ImageStatus {
	out := ImageStatus{Name: name, Digest: img.Source.Digest, Checked: img.Source.Checked, Failure: img.Failure, Generations: []GenerationStatus{}}
	for _, g := range slices.Backward(img.Generations) {
		gs := GenerationStatus{
			Generation: g.N, Deployment: g.Deployment, Entry: boot.EntryID(name, g.Deployment),
			Revision: g.Revision, Created: g.Created, Digest: g.Inputs.ImageDigest,
			Booted: g.Deployment == r.Booted, Damaged: r.damage(g), Packages: g.Packages,
		}
		if !shown[gs.Entry] {
			gs.Hidden = r.hidden(ctx, name, machine, g)
		}
		out.Generations = append(out.Generations, gs)
	}
	return out
}
