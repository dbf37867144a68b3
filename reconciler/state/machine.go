package state

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// Machine is what is staged on a machine: state.json, written under the stage's
// lock.
type Machine struct {
	Version int    `json:"version"`
	Machine string `json:"machine,omitempty"`
	// Revision is the last one that was applied; empty before the first.
	Revision string            `json:"revision,omitempty"`
	Images   map[string]*Image `json:"images,omitempty"`
	// Builds are those of a gitboot that kept them here. They stay until the
	// workshop has a document of its own.
	Builds json.RawMessage `json:"builds,omitempty"`
	// Order is the wanted images as the menu shows them, and Mode, Timeout and
	// Tries, 0 for DefaultTries, how the menu is treated: kept so that the menu can
	// be written without the config repo.
	Order   []string `json:"order,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	Timeout *int     `json:"timeout,omitempty"`
	Tries   int      `json:"tries,omitempty"`
	// Loader is the boot loader that is declared, "" for the one that is there.
	Loader string `json:"loader,omitempty"`
	// SecureBoot says that what boots is signed.
	SecureBoot bool `json:"secureBoot,omitempty"`
	// SafeGraphics says that there is an entry without graphics drivers.
	SafeGraphics bool `json:"safeGraphics,omitempty"`
	// Default is the entry id that `boot set-default` chose, empty for the
	// first image's newest generation.
	Default string `json:"default,omitempty"`
	// Alone says that the boot loader has no entry of another system, as far as that
	// was ever seen: then the recovery entry boots when nothing else is left.
	Alone bool `json:"alone,omitempty"`
	// Failure is why the last run ended without having looked at all images,
	// and which revision it was for, if one was fetched.
	Failure *Failure `json:"failure,omitempty"`
	// Suspension says that nothing is to change by itself, nil if all may.
	Suspension *plan.Suspension `json:"suspension,omitempty"`
	// Waiting is what is staged and not published yet, absent if nothing is.
	Waiting *Waiting `json:"waiting,omitempty"`
	// Approval is what has to approve of what replaces that which is published.
	Approval plan.Approval `json:"approval,omitzero"`
	// Restarted is the deployment that the machine was restarted for by itself last.
	Restarted string `json:"restarted,omitempty"`
	// Trial is what is tried for one boot, nil if nothing is.
	Trial *Trial `json:"trial,omitempty"`
	// Tried is the tip of the branch testing/MACHINE that was staged last, or could
	// not be.
	Tried string `json:"testing,omitempty"`
	// TestingFailure is why that tip, its revision, could not be staged.
	TestingFailure *Failure `json:"testingFailure,omitempty"`
	// Recovery is the recovery entry, nil if none is declared.
	Recovery *Recovery `json:"recovery,omitempty"`
	// Verdicts are what is known of deployments, by their ids.
	Verdicts Verdicts `json:"verdicts,omitempty"`
	// OnBad is what is done about what is bad, "" for no more than to tell, and Reverts
	// what was, or is to be, taken back.
	OnBad   string   `json:"onBad,omitempty"`
	Reverts []Revert `json:"reverts,omitempty"`
	// Boot is the id of the machine's boot that was looked at last.
	Boot string `json:"boot,omitempty"`
	// Written is what was written last of the boot loader's files, nil if that is not
	// known, and Drift what was not as it was written, the newest last.
	Written *Written     `json:"written,omitempty"`
	Drift   []plan.Drift `json:"drift,omitempty"`
	// Init is the file of gitboot-init when this was written last.
	Init Summed `json:"init,omitzero"`
}

// Summed is a file's checksum, and by what it is seen that the file is another now.
type Summed struct {
	Stamp string `json:"stamp"`
	Sum   string `json:"sum"`
}

// Suspended says, as a *plan.SuspendedError, that nothing may change now on the
// machine whose stage is in dir, unless it is to be done anyway.
func Suspended(dir string, anyway bool, now time.Time) error {
	if anyway {
		return nil
	}
	m, err := LoadMachine(dir)
	if err != nil {
		return err
	}
	return m.Refuse(anyway, now)
}

// Refuse says, as a *plan.SuspendedError, that nothing may change now, unless it is
// to be done anyway.
func (m *Machine) Refuse(anyway bool, now time.Time) error {
	if anyway {
		return nil
	}
	return m.Suspension.Refuse(now)
}

// Image is what is known of one image of the machine.
type Image struct {
	Origin Origin `json:"source"`
	// Ready is the generation that is staged and waits to be published, nil if none
	// does.
	Ready *Generation `json:"ready,omitempty"`
	// Generations are those on the stage, oldest first.
	Generations []Generation `json:"generations,omitempty"`
	// Failure is why the last run could not converge the image.
	Failure *Failure `json:"failure,omitempty"`
}

// Origin is what an image's declaration was resolved to, and when.
type Origin struct {
	// Declared is a hash of the declaration that Digest belongs to.
	Declared string `json:"declared,omitempty"`
	Digest   string `json:"digest,omitempty"`
	// Within is the constraint on tags that was declared, and Tag the one that it
	// meant; both are empty if there is none.
	Within string `json:"within,omitempty"`
	Tag    string `json:"tag,omitempty"`
	// Signed names the keys that one of which signed Digest, empty if none was
	// asked for.
	Signed string `json:"signed,omitempty"`
	// Fingerprint is that of the archive file which gave Digest.
	Fingerprint string    `json:"fingerprint,omitempty"`
	Checked     time.Time `json:"checked,omitzero"`
}

// Choice says which tag a constraint meant, "" without one.
func (o Origin) Choice() string {
	if o.Within == "" {
		return ""
	}
	return o.Within + " → " + o.Tag
}

// Generation is the n-th deployment of an image on this machine.
type Generation struct {
	N          int         `json:"n"`
	Deployment string      `json:"deployment"`
	Revision   string      `json:"revision"`
	Created    time.Time   `json:"created"`
	Inputs     plan.Inputs `json:"inputs"`
	// Packages is how the packages differ from the generation before it, absent
	// if that is not known or the layers are the same.
	Packages *packages.Summary `json:"packages,omitempty"`
	// Fetched is what was fetched of its layers, absent if all were on the stage.
	Fetched *Fetched `json:"fetched,omitempty"`
	// Imported generations came as a file, not from the config repo.
	Imported bool `json:"imported,omitempty"`
	// Test is how its boot test went before it was published, nil without one;
	// Untested is why that could not be made.
	Test     *Test    `json:"bootTest,omitempty"`
	Untested *Failure `json:"untested,omitempty"`
	// Pin keeps the generation until it is taken away, nil without one.
	Pin *Pin `json:"pin,omitempty"`
}

// Pin is somebody's wish that a generation stays, with a word of why.
type Pin struct {
	Label string    `json:"label,omitempty"`
	Since time.Time `json:"since"`
}

// From says where a generation came from.
func (g Generation) From() string {
	if g.Revision == "" {
		return "imported"
	}
	return "revision " + plan.Short(g.Revision)
}

// Same reports whether two documents say the same of the machine.
func (m *Machine) Same(other *Machine) bool {
	a, b := *m, *other
	a.Builds, b.Builds = nil, nil
	return same(&a, &b)
}

// Clone returns a deep copy, so that a run that fails leaves the document it
// read untouched.
func (m *Machine) Clone() (*Machine, error) {
	c := &Machine{}
	if err := copyTo(m, c); err != nil {
		return nil, err
	}
	if c.Images == nil {
		c.Images = map[string]*Image{}
	}
	return c, nil
}

// Newest is the latest time at which something is known to have happened.
func (m *Machine) Newest() (newest time.Time) {
	for _, img := range m.Images {
		newest = later(newest, img.Origin.Checked)
		for _, g := range img.Generations {
			newest = later(newest, g.Created)
		}
	}
	return newest
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Deployments are those that something names.
func (m *Machine) Deployments() (ids []string) {
	for _, img := range m.Images {
		for _, g := range img.Generations {
			ids = append(ids, g.Deployment)
		}
		if img.Ready != nil {
			ids = append(ids, img.Ready.Deployment)
		}
	}
	if m.Trial != nil {
		ids = append(ids, m.Trial.Deployment)
	}
	if m.Recovery != nil {
		ids = append(ids, m.Recovery.Deployment)
	}
	return ids
}

// Image returns the named image's part, made if it is not there.
func (m *Machine) Image(name string) *Image {
	if m.Images[name] == nil {
		m.Images[name] = &Image{}
	}
	return m.Images[name]
}

// AnyFailure reports whether an image failed in the last run.
func (m *Machine) AnyFailure() bool {
	for _, img := range m.Images {
		if img.Failure != nil {
			return true
		}
	}
	return false
}

// DropUnwanted forgets images that are neither wanted nor on the stage.
func (m *Machine) DropUnwanted(wanted func(name string) bool) {
	for name, img := range m.Images {
		if !wanted(name) && len(img.Generations) == 0 {
			delete(m.Images, name)
		}
	}
}

// Fail records why an image did not converge, when it is tried again, and keeps the
// time of the first run that said the same.
func (i *Image) Fail(err error, key, whose string, now time.Time) {
	switch {
	case errors.As(err, new(*RestingError)): // what rests stands
	case errors.As(err, new(*plan.UntestedError)): // it is not tried again by itself
		i.Failure = i.Failure.After(err, now)
	default:
		i.Failure = i.Failure.Tried(err, key, whose, now)
	}
}

// Add appends a generation. A deployment that came back takes its new number, and
// stays pinned: one deployment is one entry.
func (i *Image) Add(g Generation) {
	for _, before := range i.Generations {
		if before.Deployment == g.Deployment && g.Pin == nil {
			g.Pin = before.Pin
		}
	}
	i.Remove(g.Deployment)
	i.Generations = append(i.Generations, g)
}

// Remove forgets the generation of a deployment.
func (i *Image) Remove(deployment string) {
	i.Generations = slices.DeleteFunc(i.Generations, func(g Generation) bool { return g.Deployment == deployment })
}

// RemoveNumber forgets the n-th generation.
func (i *Image) RemoveNumber(n int) {
	i.Generations = slices.DeleteFunc(i.Generations, func(g Generation) bool { return g.N == n })
}

// Staged is the generation that holds an image of a digest: the one that waits to
// be published, else the newest, which may hold another; nil if there is none.
func (i *Image) Staged(digest string) *Generation {
	if i != nil && i.Ready != nil && i.Ready.Inputs.ImageDigest == digest {
		return i.Ready
	}
	return i.Newest()
}

// Waiting is the generation of a deployment that waits to be published, nil if it
// is none.
func (i *Image) Waiting(deployment string) *Generation {
	if i == nil || i.Ready == nil || i.Ready.Deployment != deployment {
		return nil
	}
	return i.Ready
}

// Unpatched reports whether patches are of no use for the image: as long as a generation
// is kept for which one was fetched in vain.
func (i *Image) Unpatched() bool {
	return i != nil && slices.ContainsFunc(i.Generations, func(g Generation) bool { return g.Fetched != nil && g.Fetched.Unfit })
}

// Newest returns the last generation, nil if there is none.
func (i *Image) Newest() *Generation {
	if i == nil || len(i.Generations) == 0 {
		return nil
	}
	return &i.Generations[len(i.Generations)-1]
}
