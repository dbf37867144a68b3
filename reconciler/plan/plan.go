// Package plan compares what a machine wants with what its stage holds. It is
// pure: the same wants and observations give the same plan, and nothing here
// reads a file, a clock or the network. `gitboot plan` prints a plan and
// `gitboot reconcile` applies it, so the two cannot drift apart.
package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/disk/layout"
)

// A Layer is one layer of a wanted image.
type Layer struct {
	DiffID string
	// Bytes is what has to be read to get it, 0 if that is not known; Tar is its
	// size where it lies on this machine already, unpacked.
	Bytes, Tar int64
	Staged     bool
	// Made says that somebody else has made it: it is fetched as it will lie here.
	// Whole is what has to be read without what is on the stage, if it is put together of
	// that, by blocks or by files, and of Bytes that are fetched; else 0. Patch says that a
	// patch is among these.
	Made, Patch bool
	Whole       int64
	// Beside is how much may lie beside it while it is put together.
	Beside int64
}

// A Want is one image as the config repo and the registry give it now.
type Want struct {
	Image  string
	Inputs Inputs
	// Choice says which tag was chosen for the digest, "" if none was.
	Choice string
	// Layers are those of the wanted digest. They are empty when the digest
	// is the one that is staged already.
	Layers []Layer
	// Building says that the image is built first, so that its digest is not
	// known yet.
	Building bool
	// Keep is how many generations stay on the stage, at least one.
	Keep int
	// Err says why the image's wanted state could not be found out. The
	// image is then left as it is.
	Err error
}

// A Generation is one deployment of an image on the stage.
type Generation struct {
	N          int
	Deployment string
	// Inputs is what the deployment was made from.
	Inputs Inputs
	// Damaged says what is missing on the stage; empty if all is there.
	Damaged string
	// Unbootable says why the generation will never boot; empty if it may.
	Unbootable string
	// Protected generations are never removed: booted, the default, the
	// last good one. Pinned ones are, besides, not counted by keep.
	Protected, Pinned bool
}

// Observed is what the stage and the boot loader report.
type Observed struct {
	Revision string
	// Generations of each image, oldest first.
	Generations map[string][]Generation
	// Bad are the deployments that are known to be bad, on the stage or not.
	Bad []Bad
	// Ready are the deployments that are staged and wait to be published, by their
	// images.
	Ready map[string]Generation
	// Stray are deployments on the stage that no generation names and that
	// are not booted.
	Stray []string
	// MenuStale says why the menu is not what the generations give.
	MenuStale string
	// Unlinked says that the boot loader does not read the menu yet.
	Unlinked bool
	// Garbage is how many bytes nothing reaches; a run that was cut short
	// leaves some.
	Garbage int64
}

// Protected reports whether a generation must stay: it was imported and could not
// be had again, it is running, it is what the machine boots by choice, or somebody
// has pinned it.
func Protected(imported, booted, chosen, pinned bool) bool {
	return imported || booted || chosen || pinned
}

// A Build is the making of an image.
type Build struct {
	Image string
	// Reasons say what changed since the image was built before.
	Reasons []string
}

// A Push is the publishing of an image.
type Push struct{ Image, Ref, Reason string }

// A Staging is the making of one new generation.
type Staging struct {
	Image      string
	Generation int
	Inputs     Inputs
	// Reasons say what differs from the generation before.
	Reasons []string
	// Layers are those that have to be fetched and squashed.
	Layers []Layer
	// Packages says which packages change, empty if that is not known.
	Packages string
	// Notes and Warnings are for people.
	Notes, Warnings []string
	// Ready is the deployment, if it is staged already and only waits to be
	// published.
	Ready string
}

// A Removal takes one generation, or a stray deployment, off the stage.
type Removal struct {
	Image      string
	Generation int
	Deployment string
	Reason     string
}

// A Plan is the difference between what is wanted and what is staged.
type Plan struct {
	Machine  string
	From, To string
	// Drift is what is noticed not to be as it was written.
	Drift []Drift
	// Builds come first, parents before their children. What they give decides
	// whether the stages of their images are needed.
	Builds   []Build
	Stagings []Staging
	Removals []Removal
	// Recovery says why the recovery entry is made, "" if it is not.
	Recovery string
	// Pushes come last: nothing that boots here depends on them.
	Pushes []Push
	Menu   string
	Link   bool
	// Garbage is what is collected besides that of Removals, in bytes.
	Garbage int64
	// Refused are what images want and is known to be bad.
	Refused []Bad
	// Failed maps an image to why nothing is planned for it.
	Failed map[string]error
	// Terms says that another way to approve of revisions is published with it.
	Terms bool
	// Holds say why what is new is staged now, and not published.
	Holds    []Hold
	Untested []Untested // the images whose boot tests come before publishing
	Unsigned []Unsigned // those whose signatures do
	// Space is for people, nil where it is not known.
	Space *Space
	// Disk is how the machine's is declared to be divided, for people: no run changes it.
	Disk *layout.Disk
}

// Compare returns what has to happen for observed to become what wants say.
// The order of wants is the order of the menu.
func Compare(machine, revision string, wants []Want, observed Observed) Plan {
	p := Plan{Machine: machine, From: observed.Revision, To: revision, Menu: observed.MenuStale, Link: observed.Unlinked, Garbage: observed.Garbage, Failed: map[string]error{}}
	wanted := map[string]bool{}
	for _, w := range wants {
		wanted[w.Image] = true
		have := observed.Generations[w.Image]
		if w.Err != nil {
			p.Failed[w.Image] = w.Err
			continue
		}
		reasons := differences(w, have)
		if bad := observed.bad(w); bad != nil {
			p.Refused, reasons = append(p.Refused, *bad), nil
		}
		if len(reasons) > 0 {
			p.Stagings = append(p.Stagings, newStaging(w, have, reasons).from(w, observed.Ready))
		}
		have, useless := split(w.Image, have)
		p.Removals = append(p.Removals, useless...)
		p.Removals = append(p.Removals, surplus(w, have, len(reasons) > 0)...)
	}
	p.Removals = append(p.Removals, unwanted(observed, wanted)...)
	p.keepGarbage()
	if p.Menu == "" && (len(p.Stagings) > 0 || len(p.Removals) > 0) {
		p.Menu = entriesChange
	}
	return p
}

// SetPackages notes which packages change with an image's new generation.
func (p *Plan) SetPackages(image, summary string) {
	for i := range p.Stagings {
		if p.Stagings[i].Image == image {
			p.Stagings[i].Packages = summary
		}
	}
}

// SetNotes notes what people should know of an image's new generation.
func (p *Plan) SetNotes(image string, notes, warnings []string) {
	for i := range p.Stagings {
		if p.Stagings[i].Image == image {
			p.Stagings[i].Notes = notes
			p.Stagings[i].Warnings = append(p.Stagings[i].Warnings, warnings...)
		}
	}
}

// Warn says something of all new generations that may be wrong.
func (p *Plan) Warn(of string) {
	for i := range p.Stagings {
		p.Stagings[i].Warnings = append(p.Stagings[i].Warnings, of)
	}
}

const entriesChange = "entries change"

// Without returns what is left of a plan when images have failed on the way.
func (p Plan) Without(failed map[string]error) Plan {
	p.Builds = slices.DeleteFunc(slices.Clone(p.Builds), func(b Build) bool { return failed[b.Image] != nil })
	p.Stagings = slices.DeleteFunc(slices.Clone(p.Stagings), func(s Staging) bool { return failed[s.Image] != nil })
	p.Removals = slices.DeleteFunc(slices.Clone(p.Removals), func(r Removal) bool { return failed[r.Image] != nil })
	if p.Menu == entriesChange && len(p.Stagings) == 0 && len(p.Removals) == 0 && p.Recovery == "" {
		p.Menu = ""
	}
	p.Failed = failed
	p.Wait(p.Holds)
	return p
}

// keepGarbage leaves what nothing reaches where it is as long as an image fails or
// waits: what comes next may go on from there.
func (p *Plan) keepGarbage() {
	if len(p.Failed) > 0 || p.Held() {
		p.Garbage = 0
	}
}

// split takes out the generations that cannot boot.
func split(image string, have []Generation) (rest []Generation, removals []Removal) {
	for _, g := range have {
		if g.Unbootable != "" {
			removals = append(removals, Removal{image, g.N, g.Deployment, g.Unbootable})
		} else {
			rest = append(rest, g)
		}
	}
	return rest, removals
}

// from is the staging that takes what waits to be published, if that is what is
// wanted.
func (s Staging) from(w Want, ready map[string]Generation) Staging {
	if r, ok := ready[s.Image]; ok && len(differences(w, []Generation{r})) == 0 {
		s.Ready, s.Layers, s.Inputs = r.Deployment, nil, r.Inputs
	}
	return s
}

// Trying is the staging of an image that is tried: no generation.
func Trying(image string, inputs Inputs, layers []Layer) Staging {
	s := newStaging(Want{Image: image, Inputs: inputs, Layers: layers}, nil, []string{"it is tried"})
	s.Generation = 0
	return s
}

func newStaging(w Want, have []Generation, reasons []string) Staging {
	s := Staging{Image: w.Image, Generation: 1, Inputs: w.Inputs, Reasons: reasons}
	if len(have) > 0 {
		s.Generation = have[len(have)-1].N + 1
	}
	for _, l := range w.Layers {
		if !l.Staged {
			s.Layers = append(s.Layers, l)
		}
	}
	return s
}

// surplus returns the generations beyond keep. One more goes if a new one is
// about to be made. Pinned ones stay besides: whoever pins something old means to
// lose nothing newer by it.
func surplus(w Want, have []Generation, grows bool) []Removal {
	have = slices.DeleteFunc(slices.Clone(have), func(g Generation) bool { return g.Pinned })
	excess := len(have) - max(w.Keep, 1)
	if grows {
		excess++
	}
	var out []Removal
	for i, g := range have {
		newest := i == len(have)-1 && !grows
		if len(out) >= excess || newest {
			break
		}
		if !g.Protected {
			out = append(out, Removal{w.Image, g.N, g.Deployment, fmt.Sprintf("keep = %d", w.Keep)})
		}
	}
	return out
}

func unwanted(observed Observed, wanted map[string]bool) []Removal {
	var out []Removal
	for image, generations := range observed.Generations {
		for _, g := range generations {
			if !wanted[image] && !g.Protected {
				out = append(out, Removal{image, g.N, g.Deployment, "image is not wanted any more"})
			}
		}
	}
	for _, id := range observed.Stray {
		out = append(out, Removal{Deployment: id, Reason: "no generation names it"})
	}
	slices.SortFunc(out, func(a, b Removal) int {
		return cmp.Or(cmp.Compare(a.Image, b.Image), cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Deployment, b.Deployment))
	})
	return out
}

// Empty reports whether applying the plan would change anything but the
// record of the revision.
func (p Plan) Empty() bool {
	return len(p.Drift) == 0 && len(p.Builds) == 0 && len(p.Pushes) == 0 && len(p.Stagings) == 0 && len(p.Removals) == 0 && p.Recovery == "" && p.Menu == "" && !p.Link && p.Garbage == 0
}

// Bytes returns how much has to be fetched, as far as it is known.
func (p Plan) Bytes() (n int64) {
	for _, s := range p.Stagings {
		for _, l := range s.Layers {
			n += l.Bytes
		}
	}
	return n
}

// Short shortens a digest or an id for people.
func Short(digest string) string {
	digest = strings.TrimPrefix(digest, "sha256:")
	return digest[:min(len(digest), 12)]
}
