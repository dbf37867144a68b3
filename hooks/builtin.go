package hooks

import (
	"errors"
	"fmt"

	"github.com/gitboot/gitboot/hooks/kind"
)

// builtin renders a hook's built-in. There is a case for every field of
// kind.Builtin.
func (r *renderer) builtin(h *kind.Hook) error {
	name, settings, err := h.Builtin.One()
	if err != nil {
		return err
	}
	if err := settings.Check().Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch s := settings.(type) {
	case *kind.Fstab:
		return r.fstab(h.Name, s)
	case *kind.Hostname:
		return r.hostname(h.Name, s)
	case *kind.MachineID:
		return r.machineID(h.Name, s)
	case *kind.SSHHostKeys:
		return r.sshHostKeys(h.Name, s)
	case *kind.AuthorizedKeys:
		return r.authorizedKeys(h.Name, s)
	case *kind.ResolvConf:
		return r.resolvConf(h.Name, s)
	}
	return fmt.Errorf("%s cannot be rendered", name)
}

func generated(hook string) string {
	return "# Written by gitboot, hook " + fileName(hook) + ". Changes are lost at the next boot.\n"
}

// text puts a file of root's into the layer.
func (r *renderer) text(hook, path, content string) error {
	return r.files(hook, []kind.File{{Path: path, Content: []byte(content)}})
}

var errNoState = errors.New("it keeps what it generates, and there is no directory for that; give the stage")
