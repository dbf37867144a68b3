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
	case *kind.Network:
		return r.network(h.Name, s)
	case *kind.Users:
		return r.users(h.Name, s)
	case *kind.Units:
		return r.units(h.Name, s)
	case *kind.Sysctl:
		return r.sysctl(h.Name, s)
	case *kind.Modules:
		return r.modules(h.Name, s)
	case *kind.Timezone:
		return r.timezone(h.Name, s)
	case *kind.Locale:
		return r.locale(h.Name, s)
	}
	return fmt.Errorf("%s cannot be rendered", name)
}

// last reports whether a hook's built-in looks at what the hook itself makes,
// and so comes after it.
func last(h *kind.Hook) bool { return h.Builtin != nil && h.Builtin.Units != nil }

func generated(hook string) string {
	return "# Written by gitboot, hook " + fileName(hook) + ". Changes are lost at the next boot.\n"
}

// text puts a file of root's into the layer.
func (r *renderer) text(hook, path, content string) error {
	return r.files(hook, []kind.File{{Path: path, Content: []byte(content)}})
}

var errNoState = errors.New("it keeps what it generates, and there is no directory for that; give the stage")
