package disks

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/medium"
	"github.com/gitboot/gitboot/unattended"
)

// patience is how long answers that come over a network are waited for.
const patience = 2 * time.Minute

// answered reads what says how to install, unless somebody is asked.
func (i *installer) answered(ctx context.Context) error {
	how := i.flags.answers
	if how == deployment.InstallAsk {
		return nil
	}
	if err := deployment.CheckInstall(how); err != nil {
		return usage.Errorf("--answers %q %v", how, err)
	}
	if how == deployment.InstallMedium && i.flags.from == "" {
		return usage.Errorf("--answers medium: of which medium? name its stage's folder with --from")
	}
	origin := unattended.Origin{Medium: filepath.Join(i.flags.from, medium.AnswersFile), Metadata: unattended.MetadataURL, Patience: patience}
	answers, err := origin.Read(ctx, how)
	if err != nil {
		return err
	}
	i.answers = &answers
	return nil
}

// end restarts a machine that was started to be installed.
func (i *installer) end() error {
	if i.answers == nil || !startedFor() {
		return nil
	}
	how := map[string]int{unattended.Reboot: unix.LINUX_REBOOT_CMD_RESTART, unattended.PowerOff: unix.LINUX_REBOOT_CMD_POWER_OFF}[i.answers.Then]
	if how == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(i.c.OutOrStdout(), "%s, as the answers say\n", i.answers.Then); err != nil {
		return err
	}
	unix.Sync()
	return unix.Reboot(how)
}

// startedFor reports whether this system is there to install one.
func startedFor() bool {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return false
	}
	c, _, err := deployment.ParseCmdline(string(text))
	return err == nil && c.Recovery && c.Install != ""
}
