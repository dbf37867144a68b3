package settings

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
)

// Cmdline reads what the boot entry told the running kernel. A system that
// gitboot did not boot has nothing of it but perhaps the machine's name, which
// is no error.
func Cmdline() (deployment.Cmdline, error) {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return deployment.Cmdline{}, fmt.Errorf("read the kernel command line: %w", err)
	}
	c, err := boot.Current(string(text))
	if errors.Is(err, boot.ErrNotBooted) {
		return deployment.Cmdline{Machine: machineParam(string(text))}, nil
	}
	return c, err
}

// machineParam finds gitboot.machine= on the command line of a system that
// another boot entry started.
func machineParam(cmdline string) (name string) {
	for _, word := range deployment.Fields(cmdline) {
		if value, ok := strings.CutPrefix(word, deployment.ParamMachine+"="); ok {
			name = value
		}
	}
	return name
}

// machine decides which machine of the config repo this is, and says where the
// name came from.
func (s Settings) machine(cmdline string) (name, from string, err error) {
	if s.flags.Machine != "" {
		return s.flags.Machine, "--machine", nil
	}
	if s.Machine != "" {
		return s.Machine, "agent.toml", nil
	}
	if cmdline != "" {
		return cmdline, "gitboot.machine= on the kernel command line", nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", "", fmt.Errorf("find the machine's name: %w; give --machine", err)
	}
	short, _, _ := strings.Cut(host, ".")
	return short, "the hostname", nil
}

// DefaultStage is used on a machine that was not booted by gitboot.
const DefaultStage = "/var/lib/gitboot"

// StageDir is the stage's folder: on a machine that gitboot booted, the one that
// it booted from.
func (s Settings) StageDir() string {
	if s.Stage != "" {
		return s.Stage
	}
	if info, err := os.Stat(deployment.StageMount); err == nil && info.IsDir() {
		return deployment.StageMount
	}
	return DefaultStage
}

// A LiveError says that there is nothing here that a config repo could change.
type LiveError struct{}

func (*LiveError) Error() string {
	return "this system runs from a medium, which nothing is written to, and so follows no config repo; have the machine installed (gitboot install), or name a stage on a disk with --stage"
}

// Live is a *LiveError where the stage is a medium's.
func (s Settings) Live() error {
	c, err := Cmdline()
	if err == nil && c.Live && (s.Stage == "" || s.Stage == deployment.StageMount) {
		return new(LiveError)
	}
	return nil // who needs the command line tells what is wrong with it
}

// bootID is the kernel's id of this boot, "" where there is none.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

func machineID() string {
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
