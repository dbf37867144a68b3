package hooks

import (
	"errors"
	"fmt"
)

// A Help describes a built-in hook to a user.
type Help struct {
	// Name is the word in the config.
	Name string
	// Summary is one line.
	Summary string
	// Text is everything else.
	Text string
}

// Builtins returns the help of all built-ins, sorted by name.
func Builtins() []Help {
	return []Help{authorizedKeysHelp, fstabHelp, hostnameHelp, machineIDHelp, resolvConfHelp, sshHostKeysHelp}
}

// A renderable is one built-in with its settings.
type renderable interface {
	render(r *renderer, hook string) error
}

func (r *renderer) builtin(h *Hook) error {
	var all []renderable
	b := h.Builtin
	if b.Fstab != nil {
		all = append(all, b.Fstab)
	}
	if b.Hostname != nil {
		all = append(all, b.Hostname)
	}
	if b.MachineID != nil {
		all = append(all, b.MachineID)
	}
	if b.SSHHostKeys != nil {
		all = append(all, b.SSHHostKeys)
	}
	if b.AuthorizedKeys != nil {
		all = append(all, b.AuthorizedKeys)
	}
	if b.ResolvConf != nil {
		all = append(all, b.ResolvConf)
	}
	if len(all) != 1 {
		return fmt.Errorf("it has %d built-ins; a hook has one", len(all))
	}
	return all[0].render(r, h.Name)
}

func generated(hook string) string {
	return "# Written by gitboot, hook " + fileName(hook) + ". Changes are lost at the next boot.\n"
}

// text puts a file of root's into the layer.
func (r *renderer) text(hook, path, content string) error {
	return r.files(hook, []File{{Path: path, Content: []byte(content)}})
}

var errNoState = errors.New("it keeps what it generates, and there is no directory for that; give the stage")
