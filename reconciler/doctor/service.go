package doctor

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/internal/program"
)

// units are those by which a machine reconciles by itself.
var units = []string{"gitboot.service", "gitboot.timer"}

func checkService(ctx context.Context, _ *visit) []Finding {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return skip("systemd does not run here")
	}
	args := append([]string{"show", "--property=Id,LoadState,ActiveState,UnitFileState,Result"}, units...)
	out, err := program.Command(ctx, "systemctl", args...).Output()
	if err != nil {
		return warn(fmt.Sprintf("systemctl show: %v", err), "look at systemctl status gitboot")
	}
	return judgeUnits(parseUnits(string(out)))
}

// A unit is what systemctl shows of it.
type unit map[string]string

func (u unit) enabled() bool { return strings.HasPrefix(u["UnitFileState"], "enabled") }
func (u unit) active() bool {
	return slices.Contains([]string{"active", "activating", "reloading"}, u["ActiveState"])
}

// parseUnits reads properties, a line each, and an empty line between units.
func parseUnits(text string) (all []unit) {
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		u := unit{}
		for line := range strings.Lines(block) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			u[key] = value
		}
		all = append(all, u)
	}
	return all
}

func judgeUnits(all []unit) []Finding {
	for _, u := range all {
		if u["ActiveState"] == "failed" {
			return fail(fmt.Sprintf("%s failed (%s)", u["Id"], u["Result"]), "`journalctl -u "+u["Id"]+"` says why; `systemctl restart "+u["Id"]+"` tries again")
		}
	}
	for _, u := range all {
		switch {
		case u.active() && u.enabled():
			return ok("%s runs, and does so after a boot", u["Id"])
		case u.active() && strings.HasSuffix(u["Id"], ".timer"), u.active() && u["UnitFileState"] == "disabled":
			return warn(u["Id"]+" runs, but does not after a boot", "`systemctl enable "+u["Id"]+"`")
		case u.enabled():
			return warn(u["Id"]+" is enabled, but does not run", "`systemctl start "+u["Id"]+"`")
		}
	}
	return warn("nothing reconciles this machine by itself", "`systemctl enable --now gitboot.service`, unless you run `gitboot reconcile --once` by other means")
}
