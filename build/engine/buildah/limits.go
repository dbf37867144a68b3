package buildah

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// limits are the options that give a step the limits that gitboot has. Without
// them newer engines raise some, which not every root may: one in a container
// and one without CAP_SYS_RESOURCE may not.
func limits() (options []string, err error) {
	for _, l := range []struct {
		name     string
		resource int
	}{{"nofile", unix.RLIMIT_NOFILE}, {"nproc", unix.RLIMIT_NPROC}} {
		var now unix.Rlimit
		if err := unix.Getrlimit(l.resource, &now); err != nil {
			return nil, fmt.Errorf("read the limit %s of this process: %w", l.name, err)
		}
		// The engines take -1 for no limit, which the kernel writes as all ones.
		options = append(options, "--ulimit", fmt.Sprintf("%s=%d:%d", l.name, int64(now.Cur), int64(now.Max)))
	}
	return options, nil
}
