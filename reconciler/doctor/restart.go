package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/internal/kexec"
	"github.com/gitboot/gitboot/internal/presence"
	"github.com/gitboot/gitboot/internal/program"
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
	if err := cmp.Or(program.Kexecs(), kexec.Possible()); v.Kexec && err != nil {
		return warn(fmt.Sprintf("the agent restarts this machine through its firmware, not by kexec: %v", err), "set reboot_method = \"reboot\" in agent.toml, or put that right")
	}
	return ok("the agent restarts this machine; nobody is present")
}
