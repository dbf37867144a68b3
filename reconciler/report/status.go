// Package report tells what the documents and the stage say: for status, and to
// compare two generations. It asks neither the config repo nor a registry.
package report

import (
	"cmp"
	"context"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/integrity"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// Status is what `gitboot status` shows. The JSON fields are stable.
type Status struct {
	Machine  string `json:"machine"`
	Revision string `json:"revision"`
	Stage    string `json:"stage"`
	Booted   string `json:"booted,omitempty"`
	// Via is what started it: "kexec", or empty for a boot loader.
	Via string `json:"via,omitempty"`
	// Live says that all of it is a medium's, which nothing changes.
	Live bool `json:"live,omitempty"`
	// Mode is the menu's, Default the entry that boots by itself, empty in
	// mode "menu".
	Mode string `json:"mode"`
	// Loader is the boot loader that shows the menu.
	Loader  string `json:"loader"`
	Default string `json:"default,omitempty"`
	// Fallback is the entry that boots if that does not, empty for the distribution's
	// own; Uncounted says why boots of what is new are not counted, empty if they are.
	Fallback  string `json:"fallback,omitempty"`
	Uncounted string `json:"uncounted,omitempty"`
	// Reboot says whether and why this machine needs one.
	Reboot Reboot `json:"reboot"`
	// Failure is why the last run ended without having looked at all images, or would have
	// to and could not note it.
	Failure *state.Failure `json:"failure,omitempty"`
	// Suspension says that nothing changes by itself, absent if all may.
	Suspension *plan.Suspension `json:"suspension,omitempty"`
	// Trial is what is tried for one boot, absent if nothing is.
	Trial *TrialStatus `json:"trial,omitempty"`
	// Testing is why the branch testing/MACHINE is left alone, absent if it is not.
	Testing *state.Failure `json:"testing,omitempty"`
	// Recovery is the recovery entry, absent if none is declared.
	Recovery *RecoveryStatus `json:"recovery,omitempty"`
	// SafeGraphics is the entry without graphics drivers, absent if none is declared.
	SafeGraphics *SafeStatus `json:"safeGraphics,omitempty"`
	// Waiting is a revision that is staged and not published yet, Clock why the
	// machine's is not believed; absent otherwise.
	Waiting *WaitingStatus `json:"waiting,omitempty"`
	Clock   string         `json:"clock,omitempty"`
	// Drift is what was found not to be as it was written, the newest last.
	Drift []plan.Drift `json:"drift,omitempty"`
	// Reverts are what was taken back of commits that brought something bad, or is to
	// be, the newest last.
	Reverts []state.Revert `json:"reverts,omitempty"`
	// Verified is when the agent has last verified the stage, and what it found;
	// absent if it has not.
	Verified *integrity.Look `json:"verified,omitempty"`
	Images   []ImageStatus   `json:"images"`
	// Builds are the images that are built here, by name.
	Builds []BuildStatus `json:"builds"`
	// Pushes are the images that this machine publishes, by name.
	Pushes []PushStatus `json:"pushes"`
	// Signs is what this machine has signed for others, by their names; absent if nothing.
	Signs []SigningStatus `json:"signs,omitempty"`
}

// unnoted is the failure that no run can note: that nothing can be written on the stage,
// since when it was written last.
func unnoted(st *stage.Stage) *state.Failure {
	err := stage.Unwritable(st)
	if err == nil {
		return nil
	}
	f := &state.Failure{Message: err.Error()}
	if info, err := os.Stat(st.StateFile()); err == nil {
		f.Since = info.ModTime().UTC().Truncate(time.Second)
	}
	return f
}

// SigningStatus is what was signed for another machine: all of the revision, at that time.
type SigningStatus struct {
	Machine  string         `json:"machine"`
	Revision string         `json:"revision,omitempty"`
	Time     time.Time      `json:"time,omitzero"`
	Images   []SignedStatus `json:"images"`
	Failure  *state.Failure `json:"failure,omitempty"`
}

// SignedStatus is what was signed of an image, and where the signature lies.
type SignedStatus struct {
	Image      string    `json:"image"`
	Deployment string    `json:"deployment"`
	Ref        string    `json:"ref"`
	Tag        string    `json:"tag"`
	Time       time.Time `json:"time"`
}

// signs returns what was signed for other machines.
func signs(dir string) (out []SigningStatus, err error) {
	all, err := state.Signings(dir)
	for _, s := range all {
		one := SigningStatus{s.Machine, s.Revision, s.Time, []SignedStatus{}, public(s.Failure)}
		for _, image := range slices.Sorted(maps.Keys(s.Images)) {
			signed := s.Images[image]
			one.Images = append(one.Images, SignedStatus{image, signed.Deployment, signed.Ref, signed.Tag, signed.Time})
		}
		out = append(out, one)
	}
	return out, err
}

// PushStatus is what was published of an image: Digest and Tag, the dated one,
// are empty if nothing was yet.
type PushStatus struct {
	Image   string         `json:"image"`
	Ref     string         `json:"ref"`
	Tag     string         `json:"tag"`
	Digest  string         `json:"digest"`
	Time    time.Time      `json:"time,omitzero"`
	Failure *state.Failure `json:"failure,omitempty"`
}

// BuildStatus is what is known of an image that is built here: Digest, Built and
// Revision are those of its last build that succeeded.
type BuildStatus struct {
	Image    string         `json:"image"`
	Digest   string         `json:"digest"`
	Built    time.Time      `json:"built,omitzero"`
	Revision string         `json:"revision"`
	Failure  *state.Failure `json:"failure,omitempty"`
}

// builds returns what is known of built images.
func builds(s *state.Workshop) []BuildStatus {
	out := []BuildStatus{}
	for _, name := range slices.Sorted(maps.Keys(s.Builds)) {
		b := s.Build(name)
		status := BuildStatus{Image: name, Digest: b.Digest, Built: b.Built, Revision: b.Revision}
		status.Failure = public(b.Failure)
		out = append(out, status)
	}
	return out
}

// public is a failure without what is nobody else's business.
func public(f *state.Failure) *state.Failure {
	if f == nil {
		return nil
	}
	out := *f
	out.Key = ""
	return &out
}

// pushes returns what is known of published images.
func pushes(s *state.Workshop) []PushStatus {
	out := []PushStatus{}
	for _, name := range slices.Sorted(maps.Keys(s.Builds)) {
		if p := s.Builds[name].Push; p != nil {
			ps := PushStatus{Image: name, Ref: p.Ref, Tag: p.Tag, Digest: p.Digest, Time: p.Time}
			ps.Failure = public(p.Failure)
			out = append(out, ps)
		}
	}
	return out
}

// ImageStatus is one image's part of a Status.
type ImageStatus struct {
	Name        string             `json:"name"`
	Digest      string             `json:"digest"`
	Within      string             `json:"within,omitempty"`
	Tag         string             `json:"tag,omitempty"`
	Signed      bool               `json:"signed,omitempty"`
	Checked     time.Time          `json:"checked,omitzero"`
	Generations []GenerationStatus `json:"generations"`
	Failure     *state.Failure     `json:"failure,omitempty"`
}

// fallsBack says which entry boots if the default does not, and why boots of what is
// new are not counted.
func fallsBack(ctx context.Context, book *menu.Book, doc *state.Machine, shown map[string]bool) (fallback, uncounted string) {
	fs, err := book.Locate(ctx)
	if err == nil {
		err = book.Uncounted(ctx, fs, doc.Mode)
	}
	if err != nil {
		uncounted = err.Error()
	}
	_, fallback = book.Choice(doc, shown)
	return fallback, uncounted
}

// Staged reports whether there is a generation of it.
func (i ImageStatus) Staged() bool { return len(i.Generations) > 0 }

// Bad is its newest generation, if that is known to be bad; nil otherwise.
func (i ImageStatus) Bad() *GenerationStatus {
	if len(i.Generations) == 0 || i.Generations[0].State != boot.Bad {
		return nil
	}
	return &i.Generations[0]
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
	// State is good, trying or bad, absent where that is not known; Verdict is since
	// when, why, and who said so.
	State   string         `json:"state,omitempty"`
	Verdict *state.Verdict `json:"verdict,omitempty"`
	// LastWords is the end of the kernel's log of a boot that proved bad.
	LastWords string `json:"lastWords,omitempty"`
	// BootTest is how it came up in a virtual machine, absent if it was not to.
	BootTest *state.Test `json:"bootTest,omitempty"`
	// Hidden says why the boot menu has no entry for it, empty if it has.
	Hidden string `json:"hidden,omitempty"`
	// Packages is how the packages differ from the generation before it.
	Packages *packages.Summary `json:"packages,omitempty"`
	// Fetched is what was fetched of its layers, absent if all were on the stage.
	Fetched *state.Fetched `json:"fetched,omitempty"`
	// Pin is who wants it kept, and why; absent if nobody does.
	Pin *state.Pin `json:"pin,omitempty"`
}

// WaitingStatus is a revision that is staged and not published, since when, why, and
// what publishing it does.
type WaitingStatus struct {
	Revision string        `json:"revision"`
	Since    time.Time     `json:"since"`
	Holds    []plan.Hold   `json:"holds"`
	Actions  []plan.Action `json:"actions"`
}

// Waits says what waits to be published, nil if nothing does.
func Waits(doc *state.Machine) *WaitingStatus {
	w := doc.Waiting
	if w == nil {
		return nil
	}
	return &WaitingStatus{Revision: w.Revision, Since: w.Since, Holds: w.Holds, Actions: doc.Unpublished()}
}

// Of reports what is staged, newest generation first, images as the menu shows
// them. What has become known since the document was written, foresee adds to it.
func Of(ctx context.Context, book *menu.Book, foresee func(context.Context, *state.Machine)) (Status, error) {
	doc, err := state.LoadMachine(book.Stage.Dir())
	if err != nil {
		return Status{}, err
	}
	foresee(ctx, doc)
	made, err := state.LoadWorkshop(book.Stage.Dir())
	if err != nil {
		return Status{}, err
	}
	shown, err := book.Shown()
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Machine: doc.Machine, Revision: doc.Revision, Stage: book.Place, Booted: book.Booted,
		Default: book.Default(doc, shown), Mode: cmp.Or(doc.Mode, "menu"), Failure: cmp.Or(doc.Failure, made.Failure, unnoted(book.Stage)),
		Images: []ImageStatus{}, Builds: builds(made), Pushes: pushes(made),
	}
	s.Loader, _ = menu.Which(book)
	s.Suspension, s.Waiting, s.Drift = doc.Suspension, Waits(doc), doc.Drift
	for _, r := range doc.Reverts {
		r.Failure = public(r.Failure)
		s.Reverts = append(s.Reverts, r)
	}
	if s.Signs, err = signs(book.Stage.Dir()); err != nil {
		return Status{}, err
	}
	if last := integrity.Last(book.Stage.Dir()); !last.Ended.IsZero() {
		s.Verified = &last
	}
	s.Fallback, s.Uncounted = fallsBack(ctx, book, doc, shown)
	s.Testing = public(doc.TestingFailure)
	s.Trial, s.Recovery = trialStatus(ctx, book, doc.Trial), recoveryStatus(book, doc.Recovery, shown)
	s.SafeGraphics = safeStatus(doc, shown)
	if book.Booted != "" {
		s.Reboot = rebootOf(ctx, book, doc, shown)
	}
	for _, name := range doc.MenuOrder() {
		if img := doc.Images[name]; img != nil {
			s.Images = append(s.Images, imageStatus(ctx, book, doc, name, shown))
		}
	}
	return s, nil
}

func imageStatus(ctx context.Context, book *menu.Book, doc *state.Machine, name string, shown map[string]bool) ImageStatus {
	img := doc.Images[name]
	out := ImageStatus{Name: name, Digest: img.Origin.Digest, Within: img.Origin.Within, Tag: img.Origin.Tag, Signed: img.Origin.Signed != "",
		Checked: img.Origin.Checked, Failure: public(img.Failure), Generations: []GenerationStatus{}}
	for _, g := range slices.Backward(img.Generations) {
		gs := GenerationStatus{
			Generation: g.N, Deployment: g.Deployment, Entry: boot.EntryID(name, g.Deployment),
			Revision: g.Revision, Created: g.Created, Digest: g.Inputs.ImageDigest,
			Booted: g.Deployment == book.Booted, Damaged: inventory.Damage(book.Stage, g), Packages: g.Packages, Fetched: g.Fetched, Pin: g.Pin, BootTest: g.Test,
		}
		if v := doc.Verdicts[g.Deployment]; v != nil {
			public := *v
			public.Inputs, public.From = nil, ""
			gs.State, gs.Verdict = v.State, &public
			gs.LastWords = lastWords(book, v)
		}
		if !shown[gs.Entry] {
			gs.Hidden = book.Hidden(ctx, name, doc.Machine, g)
		}
		out.Generations = append(out.Generations, gs)
	}
	return out
}

// lastWords is the end of the log of the boot that a verdict rests on, if that was bad.
func lastWords(book *menu.Book, v *state.Verdict) string {
	if v.State != boot.Bad || v.Boot == "" {
		return ""
	}
	b, err := deployment.ReadBoot(book.Stage.Dir(), v.Boot)
	if err != nil {
		return "" // it is forgotten
	}
	return plain.Line(deployment.LastWords(b.Last()))
}

// Newest is the deployment of an image's newest generation, "" if it has none.
func (s Status) Newest(image string) string {
	for _, img := range s.Images {
		if img.Name == image && len(img.Generations) > 0 {
			return img.Generations[0].Deployment
		}
	}
	return ""
}
