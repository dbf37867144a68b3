package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/internal/presence"
)

// checkRestart says what holds up a restart that the agent would make.
func checkRestart(ctx context.Context, v *visit) []Finding {
	if !v.Restarts {
		return ok("people restart this machine")
	}
	who, err := presence.Look(ctx)
	switch {
	case err != nil:
		return warn(fmt.Sprintf("who is present is not known, so that a restart would disturb them: %v", err), "start systemd-logind, or set reboot = \"never\" in agent.toml")
	case len(who) > 0:
		return ok("the agent restarts this machine; now that would disturb %s", strings.Join(who, ", "))
	}
	return ok("the agent restarts this machine; nobody is present")
}
