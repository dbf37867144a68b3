package program

import (
	"context"
	"fmt"
	"os"
)

// RebootIn has the machine restarted after so many minutes, and who is logged in
// told of it (shutdown(8), which systemd and others have alike): `shutdown -c` takes
// it back.
func RebootIn(ctx context.Context, minutes int, message string) error {
	if minutes <= 0 {
		return Reboot(ctx)
	}
	if out, err := Command(ctx, "shutdown", "-r", fmt.Sprintf("+%d", minutes), message).CombinedOutput(); err != nil {
		return fmt.Errorf("restart the machine in %d minutes: %w: %s", minutes, err, out)
	}
	return nil
}

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
