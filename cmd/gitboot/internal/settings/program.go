package settings

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/recovery"
)

// findProgram looks for one of gitboot's other programs where an installation
// or a build puts it. key is the one of agent.toml that names it.
func findProgram(name, configured, key string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", err
	}
	dir := filepath.Dir(self)
	for _, path := range []string{filepath.Join(dir, name), filepath.Join(dir, "../lib/gitboot", name)} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", &MissingProgramError{fmt.Sprintf("find %s beside %s or in ../lib/gitboot: not there; install it with `make install`, or name it with %s in agent.toml", name, self, key)}
}

// A MissingProgramError says that one of gitboot's other programs is not
// installed.
type MissingProgramError struct{ text string }

func (e *MissingProgramError) Error() string { return e.text }

// find completes the section. If the program is not installed, the images that
// need it say so.
func (c buildkitConfig) find() reconciler.Buildkit {
	out := reconciler.Buildkit{Program: "gitboot-buildkit", Builder: protocol.Builder{Address: c.Address, CA: c.CA, Cert: c.Cert, Key: c.Key}}
	if path, err := findProgram(out.Program, c.Program, ""); err == nil {
		out.Program = path
	}
	return out
}

// recovery are the programs of a recovery entry. What is missing is told when one is
// to be made.
func (s Settings) recovery() (p recovery.Programs) {
	p.Gitboot, _ = os.Executable()
	p.Rescue, _ = findProgram("gitboot-rescue", s.Rescue, "rescue")
	p.Shell, _ = exec.LookPath("busybox")
	return p
}
