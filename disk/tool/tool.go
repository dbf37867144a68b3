// Package tool runs the programs of distributions that make file systems and boot
// loaders, so that they write the same each time: at a time that is given, and by no
// configuration of this computer's.
package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/program"
)

// packages are those of Debian and Ubuntu that the programs are in.
func packages() map[string]string {
	return map[string]string{
		"mke2fs": "e2fsprogs", "debugfs": "e2fsprogs", "resize2fs": "e2fsprogs", "mkfs.xfs": "xfsprogs", "xfs_db": "xfsprogs", "mkfs.btrfs": "btrfs-progs", "mkfs.vfat": "dosfstools", "mmd": "mtools", "mcopy": "mtools",
		"grub-mkimage": "grub-common", "qemu-img": "qemu-utils", "xorriso": "xorriso",
	}
}

// A MissingError says that programs are not here.
type MissingError struct{ Programs []string }

func (e *MissingError) Error() string {
	var from []string
	for _, p := range e.Programs {
		from = append(from, packages()[p])
	}
	slices.Sort(from)
	return fmt.Sprintf("there is no %s here; install it: on Debian and Ubuntu the packages %s", strings.Join(e.Programs, ", no "), strings.Join(slices.Compact(from), " "))
}

// Installed reports, as a *MissingError, which programs are not here.
func Installed(names ...string) error {
	var missing []string
	for _, name := range names {
		if _, err := program.Find(name); err != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return &MissingError{missing}
	}
	return nil
}

// grace is how long a program that was told to end may take.
const grace = 5 * time.Second

// Run runs a program that believes it to be a certain time, and returns what it
// prints. One that says something on standard error though it ended well is left to
// who reads that.
func Run(ctx context.Context, at time.Time, stdin, name string, args ...string) (stdout, stderr string, err error) {
	return run(ctx, program.Command(ctx, name, args...), at, stdin)
}

// RunAsRoot is Run for a program that takes files of this user's for root's: in a user
// namespace, in which it is.
func RunAsRoot(ctx context.Context, at time.Time, name string, args ...string) (stdout, stderr string, err error) {
	cmd := program.Command(ctx, name, args...)
	if user, group := os.Geteuid(), os.Getegid(); user != 0 || group != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: user, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: group, Size: 1}},
		}
	}
	stdout, stderr, err = run(ctx, cmd, at, "")
	if cmd.SysProcAttr != nil && cmd.Process == nil && !errors.As(err, new(*MissingError)) && ctx.Err() == nil {
		err = fmt.Errorf("%w: %s has to take files of this user for root's, which user namespaces are for, and here they may not be made; allow them (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces), run gitboot as root, or take ext4 or xfs", err, name)
	}
	return stdout, stderr, err
}

func run(ctx context.Context, cmd *exec.Cmd, at time.Time, stdin string) (stdout, stderr string, err error) {
	name := cmd.Args[0]
	if err := fault.Point("disk.run." + name); err != nil {
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	epoch := strconv.FormatInt(at.Unix(), 10)
	cmd.Env = append(cmd.Env, "TZ=UTC", "SOURCE_DATE_EPOCH="+epoch, "E2FSPROGS_FAKE_TIME="+epoch, "MKE2FS_CONFIG=/dev/null", "MTOOLSRC=/dev/null", "MTOOLS_SKIP_CHECK=1")
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = grace
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err = cmd.Run(); told(err) {
		select {
		case <-ctx.Done():
		case <-time.After(grace):
		}
	}
	switch {
	case ctx.Err() != nil:
		return "", "", context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return "", "", &MissingError{[]string{name}}
	case err != nil:
		return "", "", &failedError{name, said(complaint.String()), err}
	}
	return out.String(), complaint.String(), nil
}

// told reports whether a program was told to end by somebody else: who has told all that a
// terminal, or a service, runs has told this one, which may hear it later.
func told(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && (status.Signal() == syscall.SIGINT || status.Signal() == syscall.SIGTERM)
}

// A failedError is a program's that ended otherwise than well.
type failedError struct {
	name, said string
	err        error
}

func (e *failedError) Error() string { return fmt.Sprintf("%s: %v: %s", e.name, e.err, e.said) }
func (e *failedError) Unwrap() error { return e.err }

// noRoom is what they say of a disk that is full, xorriso last.
var noRoom = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)no space left on device|disk quota exceeded|exceeds free space on media`)
})

// Is reports that the disk was full, as far as that was said.
func (e *failedError) Is(target error) bool {
	return target == syscall.ENOSPC && noRoom().MatchString(e.said)
}

// said is the beginning of what a program complains of, in one line.
func said(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = plain.Line(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[:min(len(lines), 5)], "; ")
}
