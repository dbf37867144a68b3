package quarantine

import (
	"github.com/elastic/go-seccomp-bpf"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Means are what the kernel has for confining a process.
type Means struct {
	// Landlock is its version, 0 if there is none.
	Landlock int
	Seccomp  bool
}

// Available asks the kernel.
func Available() Means {
	version, err := syscall.LandlockGetABIVersion()
	if err != nil {
		version = 0
	}
	return Means{Landlock: version, Seccomp: seccomp.Supported()}
}
