package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/internal/progress"
)

// Kind names what an action does.
type Kind string

// The kinds, in the order in which they happen.
const (
	NoticeDrift      Kind = "notice-drift"
	BuildImage       Kind = "build-image"
	AddLayer         Kind = "add-layer"
	AddDeployment    Kind = "add-deployment"
	TestDeployment   Kind = "test-deployment"
	AwaitPublishing  Kind = "await-publishing"
	AddRecovery      Kind = "add-recovery"
	RecordRevision   Kind = "record-revision"
	WriteMenu        Kind = "write-menu"
	LinkMenu         Kind = "link-menu"
	RemoveDeployment Kind = "remove-deployment"
	CollectGarbage   Kind = "collect-garbage"
	PushImage        Kind = "push-image"
	SkipImage        Kind = "skip-image"
)

// An Action is one line of a plan. The JSON fields are stable.
type Action struct {
	Kind       Kind   `json:"kind"`
	Image      string `json:"image,omitempty"`
	Generation int    `json:"generation,omitempty"`
	// Subject is a layer's diff id, a deployment's id or a revision.
	Subject string `json:"subject,omitempty"`
	// Path is what is not as it was written, below the stage or absolute.
	Path string `json:"path,omitempty"`
	// Ref is where an image is published.
	Ref    string `json:"ref,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Bytes to read, 0 if not known.
	Bytes int64 `json:"bytes,omitempty"`
	// Whole is what would be read of a layer if nothing of it were on the stage, 0 if
	// that is Bytes.
	Whole int64 `json:"whole,omitempty"`
	// Packages says which packages change, empty if that is not known.
	Packages string `json:"packages,omitempty"`
	// Notes say what else becomes of an image, Warnings what may be wrong with
	// it; none if that is not known yet.
	Notes    []string `json:"notes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// ReadyMade is the reason of adding a layer that is fetched as others have made it.
const ReadyMade = "ready-made"

// ByBlocks is the reason of adding one of which only those blocks are fetched that no
// layer on the stage has.
const ByBlocks = ReadyMade + ", by blocks"

// ByPatch is the reason of adding one of whose blocks most are made out of older ones, by
// what others have published for that.
const ByPatch = ReadyMade + ", by patch"

// InPart is the reason of adding one of which only those files are fetched that no layer on
// the stage has.
const InPart = "in part"

func (l Layer) reason() string {
	switch {
	case l.Whole > 0 && !l.Made:
		return InPart
	case l.Patch:
		return ByPatch
	case l.Whole > 0:
		return ByBlocks
	case l.Made:
		return ReadyMade
	}
	return ""
}

// way is how a layer comes of which not all is fetched, "" if all is.
func way(reason string) string {
	switch reason {
	case ByBlocks, ByPatch:
		return strings.TrimPrefix(reason, ReadyMade+", ")
	case InPart:
		return InPart
	}
	return ""
}

// Layers says in words how many layers are added, of how many bytes, and how many of them
// are ready-made; bytes that are not known are 0. Where some are had in another way than
// whole, it says of how many bytes that is.
func Layers(adding []Action) string {
	made, bytes, whole := 0, int64(0), int64(0)
	var ways []string
	for _, a := range adding {
		bytes, whole = bytes+a.Bytes, whole+max(a.Bytes, a.Whole)
		if way := way(a.Reason); way != "" && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
		if strings.HasPrefix(a.Reason, ReadyMade) {
			made++
		}
	}
	words := fmt.Sprintf("%d layers", len(adding))
	if len(adding) == 1 {
		words = "1 layer"
	}
	if made > 0 && made == len(adding) {
		words += ", " + ReadyMade
	} else if made > 0 {
		words += fmt.Sprintf(", %d of them %s", made, ReadyMade)
	}
	if bytes > 0 {
		words += ", " + progress.Bytes(bytes)
	}
	if whole > bytes {
		words += " of " + progress.Bytes(whole)
	}
	if len(ways) > 0 {
		slices.Sort(ways)
		words += " " + strings.Join(ways, " and ")
	}
	return words
}

func (p Plan) Actions() []Action {
	actions := append([]Action{}, p.notices()...)
	for _, b := range p.Builds {
		actions = append(actions, Action{Kind: BuildImage, Image: b.Image, Reason: strings.Join(b.Reasons, "; ")})
	}
	seen := map[string]bool{}
	for _, s := range p.Stagings {
		for _, l := range s.Layers {
			if !seen[l.DiffID] {
				seen[l.DiffID] = true
				actions = append(actions, Action{Kind: AddLayer, Image: s.Image, Subject: l.DiffID, Bytes: l.Bytes, Whole: l.Whole, Reason: l.reason()})
			}
		}
	}
	actions = append(actions, p.deployments(func(s Staging) bool { return s.Ready == "" || !p.Held() })...)
	for _, h := range p.Holds {
		actions = append(actions, Action{Kind: AwaitPublishing, Reason: h.String()})
	}
	actions = append(actions, p.deployments(func(s Staging) bool { return s.Ready != "" && p.Held() })...)
	if p.Recovery != "" {
		actions = append(actions, Action{Kind: AddRecovery, Reason: p.Recovery})
	}
	if p.From != p.To {
		actions = append(actions, Action{Kind: RecordRevision, Subject: p.To, Reason: "was " + cmp.Or(Short(p.From), "none")})
	}
	if p.Menu != "" {
		actions = append(actions, Action{Kind: WriteMenu, Reason: p.Menu})
	}
	if p.Link {
		actions = append(actions, Action{Kind: LinkMenu, Reason: p.whyLink()})
	}
	for _, r := range p.Removals {
		actions = append(actions, Action{Kind: RemoveDeployment, Image: r.Image, Generation: r.Generation, Subject: r.Deployment, Reason: r.Reason})
	}
	if p.Garbage > 0 {
		actions = append(actions, Action{Kind: CollectGarbage, Bytes: p.Garbage, Reason: "nothing reaches it"})
	}
	for _, push := range p.Pushes {
		actions = append(actions, Action{Kind: PushImage, Image: push.Image, Ref: push.Ref, Reason: push.Reason})
	}
	for _, b := range p.Refused {
		actions = append(actions, Action{Kind: SkipImage, Image: b.Image, Reason: b.String()})
	}
	for _, image := range slices.Sorted(maps.Keys(p.Failed)) {
		actions = append(actions, Action{Kind: SkipImage, Image: image, Reason: p.Failed[image].Error()})
	}
	return actions
}

// deployments are the actions that make some of the deployments, or publish them
// if they are there already.
func (p Plan) deployments(which func(Staging) bool) (actions []Action) {
	for _, s := range p.Stagings {
		if which(s) {
			actions = append(actions, Action{Kind: AddDeployment, Image: s.Image, Generation: s.Generation, Reason: strings.Join(s.Reasons, "; "), Packages: s.Packages, Notes: s.Notes, Warnings: s.Warnings})
		}
	}
	return actions
}

// Leading splits a list after its leading actions of one kind.
func Leading(list []Action, kind Kind) (leading, rest []Action) {
	n := 0
	for n < len(list) && list[n].Kind == kind {
		n++
	}
	return list[:n], list[n:]
}

// MachineActions is the part of a plan that the machine executes now: the workshop
// builds before it and publishes after it, what is skipped is no action, and what
// is held back is for another run.
func (p Plan) MachineActions() []Action {
	p.Builds, p.Pushes, p.Failed, p.Refused = nil, nil, nil, nil
	return before(p.Actions())
}
