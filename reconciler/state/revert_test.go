package state

import (
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
)

// What is taken back is all that came since the last revision whose deployment proved
// good, once for each that the machine itself has found to be bad.
func TestReverts(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	m := &Machine{Mode: boot.ModeManaged, OnBad: boot.OnBadRevert, Images: map[string]*Image{}}
	stage := func(deployment, revision string) {
		before, err := m.Clone()
		if err != nil {
			t.Fatal(err)
		}
		m.Revision = revision
		g := Generation{N: len(m.Image("desktop").Generations) + 1, Deployment: deployment, Revision: revision}
		m.Image("desktop").Add(g)
		m.Try("desktop", g, now)
		From(m, before, "desktop", deployment)
	}
	judge := func(deployment, state, by string) {
		m.Judge(deployment, Verdict{Image: "desktop", State: state, Since: now, By: by, Reason: "no"})
	}
	stage("d1", "r1")
	judge("d1", boot.Good, "")
	m.Revision = "r2" // which changed nothing of the image
	stage("d2", "r3")
	judge("d2", boot.Bad, "")
	stage("d3", "r4")
	judge("d3", boot.Bad, "")
	judge("d3", boot.Bad, "")
	stage("d4", "r5")
	judge("d4", boot.Bad, "Ada")
	stage("d5", "r6")
	judge("d5", boot.Good, "")
	stage("d6", "r7")
	judge("d6", boot.Bad, "")
	var got []string
	for _, r := range m.Reverts {
		got = append(got, r.Deployment+" "+r.Good+".."+r.Bad)
	}
	if want := []string{"d2 r2..r3", "d3 r2..r4", "d6 r6..r7"}; len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("taken back is %q, want %q", got, want)
	}
}
