package agent

import (
	"fmt"
	"time"

	"github.com/gitboot/gitboot/agent/metrics"
)

// figures are those of this agent.
func (a *Agent) figures() *metrics.Metrics {
	return metrics.New(metrics.Options{
		Snapshot: a.Board.Snapshot, Report: a.now.report, Alive: a.alive, Log: a.Log,
		Stage: func() string { return a.now.get().Reconciler.Machine.Stage.Dir() },
	})
}

// responsive is how soon the agent's loop answers if nothing hangs.
const responsive = 5 * time.Second

// alive asks the loop that must not get stuck: it answers between wishes, of which
// each has been taken by what executes them.
func (a *Agent) alive() error {
	timer := time.NewTimer(responsive)
	defer timer.Stop()
	select {
	case a.pulse <- struct{}{}:
		return nil
	case <-timer.C:
		return fmt.Errorf("the agent's loop has not answered for %s", responsive)
	}
}
