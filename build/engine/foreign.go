package engine

import (
	"fmt"
	"runtime"
	"strings"
)

// A ForeignError says that a step was to execute a program which this computer's kernel
// cannot.
type ForeignError struct {
	Arch string
	Err  error
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%v; its programs are for %s, which the kernel of the computer that builds executes only with an interpreter: install one there (Debian and Ubuntu: qemu-user-static, which registers it with binfmt_misc; Fedora: qemu-user-static; Arch: qemu-user-static-binfmt), or build on a computer that is %s",
		e.Err, e.Arch, e.Arch)
}

func (e *ForeignError) Unwrap() error { return e.Err }

// foreign tells what to do about a build that has failed of its architecture, as all
// engines say in the kernel's words (ENOEXEC).
func foreign(err error, platform string) error {
	arch := architecture(platform)
	if err == nil || arch == runtime.GOARCH || !strings.Contains(strings.ToLower(err.Error()), "exec format error") {
		return err
	}
	return &ForeignError{arch, err}
}
