package state

import (
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// Test is how a boot test of an image's build, or of a generation that is ready, went.
type Test struct {
	// Key hashes what decides how it goes.
	Key     string    `json:"key"`
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"`
	// Accelerator is how the processor was run, "" where that was not noted.
	Accelerator string `json:"accelerator,omitempty"`
	// Failure is why it did not come up, "" if it did.
	Failure string `json:"failure,omitempty"`
	// Console are the last lines that were printed by what did not.
	Console []string `json:"console,omitempty"`
}

// Tested reports whether a generation that is ready has come up in a virtual machine
// as it is declared, key, or is known to be good already.
func (v Verdicts) Tested(g *Generation, key string) bool {
	return g.Test != nil && g.Test.Key == key || v.State(g.Deployment) == boot.Good
}

// Untested are the generations that are ready and have to come up in a virtual machine
// first, in the menu's order.
func Untested(m *Machine, key string) (out []Found) {
	shown := m
	if m.Waiting != nil {
		shown = &Machine{Images: m.Images, Order: m.Waiting.Order}
	}
	for _, name := range shown.MenuOrder() {
		if img := m.Images[name]; img != nil && img.Ready != nil && !m.Verdicts.Tested(img.Ready, key) {
			out = append(out, Found{name, *img.Ready})
		}
	}
	return out
}

// FailedTest is why what is made of inputs is not staged: it did not come up in a
// virtual machine. It is nil if that is not so.
func (v Verdicts) FailedTest(image string, inputs plan.Inputs) *plan.UntestedError {
	for _, one := range v {
		if one.Image == image && one.Test != nil && one.State == boot.Bad && one.Inputs != nil && len(plan.Differences(*one.Inputs, inputs)) == 0 {
			return &plan.UntestedError{Since: one.Since, Reason: one.Reason, Console: one.Test.Console}
		}
	}
	return nil
}
