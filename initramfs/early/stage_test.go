package early

import (
	"testing"

	"github.com/gitboot/gitboot/deployment"
)

// An encrypted disk may lack where an array above it is of others, too.
func TestTwins(t *testing.T) {
	step := func(kind string) deployment.Step { return deployment.Step{Kind: kind, ID: kind} }
	luks, raid := step(deployment.AssembleLUKS), step(deployment.AssembleRAID)
	for _, c := range []struct {
		steps []deployment.Step
		at    int
		want  int
	}{
		{[]deployment.Step{luks}, 0, 0},
		{[]deployment.Step{raid, luks}, 1, 0},
		{[]deployment.Step{luks, raid}, 0, 0},
		{[]deployment.Step{luks, luks, raid}, 0, 1},
		{[]deployment.Step{luks, luks, raid, step(deployment.AssembleLVM)}, 1, 1},
		{[]deployment.Step{luks, luks, raid, luks}, 3, 0},
	} {
		if got := twins(c.steps, c.at); len(got) != c.want {
			t.Errorf("of %v, %d has the twins %v", c.steps, c.at, got)
		}
	}
}
