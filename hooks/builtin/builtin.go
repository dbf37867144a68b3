// Package builtin renders the hooks that gitboot brings along. Package kind
// declares them: a kind has a file there and one here, a field in kind.Builtin
// and a case in Render.
package builtin

import (
	"fmt"
	"log/slog"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
)

// A Target is what a built-in is rendered into, and for.
type Target struct {
	*layer.Tree
	Machine string
	// StateDir keeps what is generated once; "" is nowhere.
	StateDir string
	// Known: the tree knows the image that it lies above.
	Known bool
	Log   *slog.Logger

	hook string
}

// Render renders a hook's built-in. There is a case for every field of
// kind.Builtin.
func Render(h *kind.Hook, r *Target) error {
	name, settings, err := h.Builtin.One()
	if err != nil {
		return err
	}
	if err := settings.Check().Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.hook = h.Name
	switch s := settings.(type) {
	case *kind.Fstab:
		return fstab(r, s)
	case *kind.Hostname:
		return hostname(r, s)
	case *kind.MachineID:
		return machineID(r, s)
	case *kind.SSHHostKeys:
		return sshHostKeys(r, s)
	case *kind.AuthorizedKeys:
		return authorizedKeys(r, s)
	case *kind.ResolvConf:
		return resolvConf(r, s)
	case *kind.Network:
		return network(r, s)
	case *kind.Users:
		return users(r, s)
	case *kind.Units:
		return units(r, s)
	case *kind.Sysctl:
		return sysctl(r, s)
	case *kind.Modules:
		return modules(r, s)
	case *kind.Timezone:
		return timezone(r, s)
	case *kind.Locale:
		return locale(r, s)
	}
	return fmt.Errorf("%s cannot be rendered", name)
}

// Last reports whether a hook's built-in looks at what the hook itself makes,
// and so comes after it.
func Last(h *kind.Hook) bool { return h.Builtin != nil && h.Builtin.Units != nil }

func (r *Target) generated() string { return generated(r.hook) }

func generated(hook string) string {
	return "# Written by gitboot, hook " + layer.FileName(hook) + ". Changes are lost at the next boot.\n"
}

// text puts a file of root's into the layer.
func (r *Target) text(path, content string) error {
	return r.files(kind.File{Path: path, Content: []byte(content)})
}

func (r *Target) files(files ...kind.File) error { return r.Files(r.hook, files) }
