package confine

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kept are the capabilities that a script has: with them it makes files of
// every owner and mode where it may write. All others are lost, because they
// change the running system past all mounts, or could undo the confinement.
func Kept() []uintptr {
	return []uintptr{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_SETFCAP,
		unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_KILL, unix.CAP_SYS_CHROOT,
		unix.CAP_NET_BIND_SERVICE,
	}
}

// Renounce gives up for what the calling thread executes later, and not for
// itself: capabilities, gaining any by executing something, and root's keys.
func Renounce() error { return deniable(renounce()) }

func renounce() error {
	for c := uintptr(0); c < 64; c++ {
		if slices.Contains(Kept(), c) {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break // more than the kernel knows
		}
		if err != nil {
			return fmt.Errorf("drop capability %d for the script: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("deny the script new privileges: %w", err)
	}
	if err := denyKeys(); err != nil {
		return fmt.Errorf("deny the script root's keyrings: %w", err)
	}
	if err := denyAbstractSockets(); err != nil {
		return fmt.Errorf("deny the script abstract sockets: %w", err)
	}
	return nil
}

// denyAbstractSockets does so for those of processes outside, where the kernel
// can (from 6.12 on): a script that has the system's network would reach them.
func denyAbstractSockets() error {
	scope := unix.LandlockRulesetAttr{Scoped: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&scope)), unsafe.Sizeof(scope), 0)
	switch errno {
	case 0:
	case unix.ENOSYS, unix.EOPNOTSUPP, unix.E2BIG, unix.EINVAL:
		return nil
	default:
		return errno
	}
	defer unix.Close(int(fd))
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// keyCalls are the numbers, one after the other, of add_key, request_key and
// keyctl, by the architecture whose programs call them so.
func keyCalls() map[uint32]uint32 {
	return map[uint32]uint32{
		unix.AUDIT_ARCH_X86_64: 248, unix.AUDIT_ARCH_I386: 286,
		unix.AUDIT_ARCH_AARCH64: 217, unix.AUDIT_ARCH_ARM: 309,
		unix.AUDIT_ARCH_RISCV64: 217,
	}
}

// denyKeys has the kernel refuse what reads and changes keys, as those of root
// are in no namespace. Calls are known by their numbers alone, so those of the
// other kinds of programs that the machine executes are refused, too.
func denyKeys() error {
	const (
		number, architecture = 0, 4 // in struct seccomp_data
		x32                  = 0x40000000
		refuse               = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	)
	var filter []unix.SockFilter
	add := func(code uint16, yes, no uint8, k uint32) {
		filter = append(filter, unix.SockFilter{Code: code, Jt: yes, Jf: no, K: k})
	}
	for arch, first := range keyCalls() {
		add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, architecture)
		add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 5, arch)
		add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, number)
		add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, 0, 0, ^uint32(x32))
		add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, 0, 2, first)
		add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, 1, 0, first+3)
		add(unix.BPF_RET|unix.BPF_K, 0, 0, refuse)
	}
	add(unix.BPF_RET|unix.BPF_K, 0, 0, unix.SECCOMP_RET_ALLOW)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return errno
	}
	return nil
}
