package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// An Approval says what has to approve of a revision before it is published: one of
// what is given does. Without anything, nothing has to.
type Approval struct {
	// Manual is somebody's word alone.
	Manual bool `json:"manual,omitempty"`
	// After is how long it has to have waited, 0 if that does not do.
	After time.Duration `json:"after,omitempty"`
	// Tag is what the names of signed tags match that approve, "" if none does.
	Tag string `json:"tag,omitempty"`
}

// A Consent is what the signed tags of one pattern say of a revision.
type Consent struct {
	// Tag is the one that approves, "" if none does; Who made it, and When.
	Tag, Who string
	When     time.Time
	// Against is why others do not.
	Against []string
}

// Key tells apart what is wanted of an image: it is that of the inputs which are known
// before anything is staged.
func (in Inputs) Key() string {
	in.FormerDisk, in.Looked = "", 0
	data, err := json.Marshal(in)
	if err != nil {
		panic(err) // texts, numbers and lists of them always marshal
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// Asks reports whether anything has to approve.
func (a Approval) Asks() bool { return a != Approval{} }

// Approved says what has approved of it, of what had to.
func (p Publication) Approved() (by []string) {
	for _, a := range p.Approvals {
		var one string
		switch v := p.Tags[a.Tag]; {
		case p.First || !a.Asks():
			continue
		case a.Tag != "" && v.Tag != "":
			one = "tag " + v.Tag + " by " + v.Who
		case a.After > 0 && p.Doubt == "" && !p.Now.Before(p.Since.Add(a.After)):
			one = "time, as it waited since " + clock(p.Since)
		default:
			continue
		}
		if !slices.Contains(by, one) {
			by = append(by, one)
		}
	}
	return by
}

// approvals are the reasons to wait that somebody's approval ends. A machine that
// boots nothing of ours yet has nothing to be careful about.
func (p Publication) approvals() (holds []Hold) {
	for _, a := range p.Approvals {
		if p.First || !a.Asks() {
			continue
		}
		hold := Hold{Why: "for approval", Since: p.Since}
		if a.Tag != "" {
			v := p.Tags[a.Tag]
			if v.Tag != "" {
				continue
			}
			hold.Why, hold.Note = "for approval by a signed tag "+a.Tag, strings.Join(v.Against, "; ")
		}
		if a.After > 0 {
			hold.Until = p.Since.Add(a.After)
			if p.Doubt == "" && !p.Now.Before(hold.Until) {
				continue
			}
		}
		if !slices.Contains(holds, hold) {
			holds = append(holds, hold)
		}
	}
	return holds
}

// Differences say, for people, what differs between two sets of inputs.
func Differences(was, is Inputs) []string {
	return differences(Want{Inputs: is}, []Generation{{Inputs: was}})
}
