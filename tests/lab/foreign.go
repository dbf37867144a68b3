package lab

import (
	"os/exec"
	"syscall"
)

// registers mounts the table of interpreters of a user namespace (since Linux 6.7 each may
// have its own), and has qemu execute there what is for arm64. The kernel opens qemu at once
// (flag F), so that steps in another root find it.
const registers = `set -e
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
sed 's|:[^:]*:[A-Z]*$|:/usr/bin/qemu-aarch64-static:F|' /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register
exec "$@"`

// ExecutesARM64 has a command, and what it starts, execute programs of arm64 by qemu, as a
// computer does where that is set up. This computer does not: the command has namespaces of
// its own, in which it is root and everybody is who he is.
func ExecutesARM64(cmd *exec.Cmd) error {
	sh, err := exec.LookPath("sh")
	if err != nil {
		return err
	}
	everybody := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1<<32 - 1}}
	cmd.Path, cmd.Args = sh, append([]string{"sh", "-c", registers, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: everybody, GidMappings: everybody, GidMappingsEnableSetgroups: true,
	}
	return nil
}
