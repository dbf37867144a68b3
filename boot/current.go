package boot

import (
	"errors"
	"strings"

	"github.com/gitboot/gitboot/initramfs/handoff"
)

// ErrNotBooted says that the running system is not a deployment.
var ErrNotBooted = errors.New("this machine was not booted by gitboot")

// Current returns what the machine is booted into, from the text of
// /proc/cmdline: ErrNotBooted if it names no deployment.
func Current(cmdline string) (handoff.Cmdline, error) {
	for _, word := range handoff.Words(cmdline) {
		if word == "--" {
			break
		}
		if strings.HasPrefix(word, handoff.ParamDeployment+"=") {
			return handoff.ParseCmdline(cmdline)
		}
	}
	return handoff.Cmdline{}, ErrNotBooted
}
