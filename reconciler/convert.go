package reconciler

import (
	"path/filepath"

	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/spec"
)

// hookInput turns spec's hooks into what the leaf renders. Leaves do not know
// spec, so the two declare the same shapes.
func (r *Reconciler) hookInput(want spec.Image) hooks.Input {
	in := hooks.Input{
		Machine:  r.Machine,
		Image:    want.Name,
		Tag:      want.Tag,
		StateDir: filepath.Join(r.Stage, "secrets"),
		TempDir:  filepath.Join(r.Stage, "tmp"),
		Log:      r.Log,
	}
	for _, h := range want.Hooks {
		in.Hooks = append(in.Hooks, hooks.Hook{
			Name:    h.Name,
			Files:   convertAll(h.Files, func(f spec.File) hooks.File { return hooks.File(f) }),
			Run:     convertAll(h.Run, func(s spec.Script) hooks.Script { return hooks.Script(s) }),
			AtBoot:  convertAll(h.AtBoot, func(s spec.Script) hooks.Script { return hooks.Script(s) }),
			Builtin: convertBuiltin(h.Builtin),
		})
	}
	return in
}

func convertBuiltin(b *spec.Builtin) *hooks.Builtin {
	switch {
	case b == nil:
		return nil
	case b.Fstab != nil:
		mounts := convertAll(b.Fstab.Mounts, func(m spec.Mount) hooks.Mount { return hooks.Mount(m) })
		return &hooks.Builtin{Fstab: &hooks.Fstab{Mounts: mounts}}
	case b.Hostname != nil:
		return &hooks.Builtin{Hostname: (*hooks.Hostname)(b.Hostname)}
	case b.MachineID != nil:
		return &hooks.Builtin{MachineID: (*hooks.MachineID)(b.MachineID)}
	case b.SSHHostKeys != nil:
		return &hooks.Builtin{SSHHostKeys: (*hooks.SSHHostKeys)(b.SSHHostKeys)}
	case b.AuthorizedKeys != nil:
		users := convertAll(b.AuthorizedKeys.Users, func(u spec.UserKeys) hooks.UserKeys { return hooks.UserKeys(u) })
		return &hooks.Builtin{AuthorizedKeys: &hooks.AuthorizedKeys{Users: users}}
	case b.ResolvConf != nil:
		return &hooks.Builtin{ResolvConf: (*hooks.ResolvConf)(b.ResolvConf)}
	}
	return &hooks.Builtin{}
}

func convertAll[S, T any](in []S, convert func(S) T) []T {
	var out []T
	for _, s := range in {
		out = append(out, convert(s))
	}
	return out
}
