package program

import (
	"context"
	"fmt"
	"os"
)

// Reboot restarts the machine in an orderly way, by systemd where it runs.
func Reboot(ctx context.Context) error {
	args := []string{"systemctl", "reboot"}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		args = []string{"reboot"}
	}
	if out, err := Command(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("restart the machine: %w: %s", err, out)
	}
	return nil
}
