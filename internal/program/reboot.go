package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Where systemd shows that it is process 1, and what shutdown is asked for and when.
const (
	systemdDir    = "/run/systemd/system"
	scheduledFile = "/run/systemd/shutdown/scheduled"
)

// argumentFile is where systemd's shutdown finds the argument of reboot(2) (its
// src/shared/reboot-util.c), whoever has asked for it.
const argumentFile = "/run/systemd/reboot-param"

// errNoArgument: reboot(8) of other inits takes none.
var errNoArgument = errors.New("the init of this system hands the firmware no argument; systemd does")

// RebootIn has the machine restarted after so many minutes, and who is logged in
// told of it (shutdown(8), which systemd and others have alike): `shutdown -c` takes
// it back. The firmware is handed an argument, if that is not empty.
func RebootIn(ctx context.Context, minutes int, message, argument string) error {
	if minutes <= 0 {
		return Reboot(ctx, argument)
	}
	if err := handOver(argument); err != nil {
		return fmt.Errorf("restart the machine in %d minutes: %w", minutes, err)
	}
	if out, err := Command(ctx, "shutdown", "-r", fmt.Sprintf("+%d", minutes), message).CombinedOutput(); err != nil {
		return fmt.Errorf("restart the machine in %d minutes: %w: %s", minutes, err, out)
	}
	return nil
}

// handOver has systemd hand an argument over when it restarts the machine.
func handOver(argument string) error {
	switch {
	case argument == "":
		return nil
	case !systemd():
		return errNoArgument
	}
	return os.WriteFile(argumentFile, []byte(argument+"\n"), 0o644)
}

// Reboot restarts the machine in an orderly way, by systemd where it runs. The firmware is
// handed an argument, if that is not empty.
func Reboot(ctx context.Context, argument string) error {
	args := []string{"systemctl", "reboot"}
	switch {
	case !systemd() && argument != "":
		return fmt.Errorf("restart the machine: %w", errNoArgument)
	case !systemd():
		args = []string{"reboot"}
	case argument != "":
		args = append(args, "--reboot-argument="+argument) // since systemd 246
	}
	if out, err := Command(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("restart the machine: %w: %s", err, out)
	}
	return nil
}

func systemd() bool {
	_, err := os.Stat(systemdDir)
	return err == nil
}

// errNotSystemd: other inits end in reboot(2) without asking what is loaded.
var errNotSystemd = errors.New("the init of this system cannot end in kexec; systemd can")

// ByInit runs a program as a service of its own, free of what confines this one, and
// waits for it. It goes on when ctx ends.
func ByInit(ctx context.Context, argv ...string) error {
	if !systemd() {
		return errNotSystemd
	}
	argv = append([]string{"--quiet", "--collect", "--wait", "--pipe", "--"}, argv...)
	if out, err := Command(ctx, "systemd-run", argv...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// Kexec restarts the machine in an orderly way into the kernel that is loaded. It goes on
// when ctx ends: what is asked for ends whoever asks.
func Kexec(ctx context.Context) error {
	if !systemd() {
		return errNotSystemd
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if out, err := Command(ctx, "systemctl", "--no-block", "kexec").CombinedOutput(); err != nil {
		return fmt.Errorf("restart the machine by kexec: %w: %s", err, out)
	}
	return nil
}

// Kexecs says why Kexec could not, nil if it can.
func Kexecs() error {
	if !systemd() {
		return errNotSystemd
	}
	return nil
}

// RebootAt is when the machine is to be restarted by RebootIn, as systemd tells; it is
// not known once that was taken back.
func RebootAt() (at time.Time, known bool) {
	data, err := os.ReadFile(scheduledFile)
	if err != nil {
		return at, false
	}
	return rebootAt(data)
}

// rebootAt reads systemd's file: a line for each of USEC and MODE, and others.
func rebootAt(data []byte) (at time.Time, known bool) {
	for line := range bytes.Lines(data) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(string(line)), "="); name {
		case "USEC":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				at = time.UnixMicro(n)
			}
		case "MODE":
			known = value == "reboot"
		case "DRY_RUN":
			return at, false
		}
	}
	return at, known && !at.IsZero()
}
