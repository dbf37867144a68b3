package quarantine

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

const (
	// maxMemory is what four million objects take; a usual pack takes 40 MB.
	maxMemory = 1 << 30
	// usualMemory is from when on Go looks harder for what it can free.
	usualMemory = 192 << 20
	maxTime     = 10 * time.Minute
	// maxFile is a bit more than a fetch, or the scratch file, may have.
	maxFile = 2<<30 + 1<<20
	nobody  = 65534
)

// confine gives up all that reading a pack does not need. What the kernel does
// not know, or does not let be given up, is kept.
func confine() error {
	os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) // who shall go first if memory is short
	debug.SetMemoryLimit(usualMemory)
	debug.SetGCPercent(400) // until then
	if err := limit(); err != nil {
		return err
	}
	parent := os.Getppid()
	if os.Geteuid() == 0 {
		if err := becomeNobody(); err != nil {
			return err
		}
	}
	// Becoming another user has taken back what the parent asked for: that this
	// process ends with it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("the process that asked for it has ended")
	}
	if err := landlock.V9.BestEffort().Restrict(); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	return restrictCalls()
}

func limit() error {
	for _, l := range []struct {
		what int
		most uint64
	}{
		{unix.RLIMIT_DATA, maxMemory},
		{unix.RLIMIT_CPU, uint64(maxTime / time.Second)},
		{unix.RLIMIT_FSIZE, maxFile},
		{unix.RLIMIT_CORE, 0},
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(l.what, &now); err != nil {
			return err
		}
		most := min(l.most, now.Max)
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("setrlimit: %w", err)
		}
	}
	return nil
}

func becomeNobody() error {
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(nil) },
		func() error { return syscall.Setresgid(nobody, nobody, nobody) },
		func() error { return syscall.Setresuid(nobody, nobody, nobody) },
	} {
		// a container may know no such user, or lack the right
		if err := step(); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return nil
}

// calls are those that are made when open files are read and written, and
// those of Go's runtime.
var calls = []string{
	"read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "fstat", "close", "fcntl",
	"mmap", "munmap", "mprotect", "madvise", "mincore", "brk",
	"futex", "nanosleep", "clock_nanosleep", "clock_gettime", "gettimeofday", "sched_yield", "sched_getaffinity",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "gettid", "getpid", "restart_syscall",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2", "getrandom",
	"timer_create", "timer_settime", "timer_delete", "setitimer",
	"set_robust_list", "rseq", "membarrier", "exit", "exit_group",
}

// restrictCalls has all other calls fail. Threads may be made, other processes
// not; signals go to this process alone.
func restrictCalls() error {
	known, err := arch.GetInfo("")
	if err != nil || !seccomp.Supported() {
		return nil
	}
	var names []string
	for _, name := range calls {
		if _, ok := known.SyscallNames[name]; ok {
			names = append(names, name)
		}
	}
	with := func(name string, c seccomp.Condition) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: name, Conditions: seccomp.ArgumentConditions{c}}
	}
	return seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionErrno,
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: names},
			// a C library that cannot have it takes clone in its place
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}},
			{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{
				with("clone", seccomp.Condition{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD}),
				with("tgkill", seccomp.Condition{Argument: 0, Operation: seccomp.Equal, Value: uint64(os.Getpid())}),
			}},
		},
	}})
}
