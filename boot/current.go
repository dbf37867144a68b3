package boot

import (
	"errors"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// ErrNotBooted says that the running system is not a deployment.
var ErrNotBooted = errors.New("this machine was not booted by gitboot")

// Current returns what the machine is booted into, from the text of
// /proc/cmdline: ErrNotBooted if it names no deployment.
func Current(cmdline string) (deployment.Cmdline, error) {
	for _, word := range deployment.Fields(cmdline) {
		if word == "--" {
			break
		}
		if strings.HasPrefix(word, deployment.ParamDeployment+"=") {
			c, _, err := deployment.ParseCmdline(cmdline)
			return c, err
		}
	}
	return deployment.Cmdline{}, ErrNotBooted
}
