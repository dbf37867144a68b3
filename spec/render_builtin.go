package spec

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// Checks of what templates in built-in hooks render to.
var (
	hostCheck = matching("a host name", `^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`, "use up to 64 letters, digits and -, with dots between").
			with(func(s string) string { return tooLong(s, 64) })
	wordCheck = matching("one word", `^`+visible+`+$`, "write it without white space")
	lineCheck = matching("a line of text", `^`+onLine+`+$`, "write it without newlines")
)

func (r *resolver) builtin(decl *hookDecl, v view) *Builtin {
	switch {
	case decl.Fstab != nil:
		return &Builtin{Fstab: r.fstab(decl.Fstab, v)}
	case decl.Hostname != nil:
		return &Builtin{Hostname: r.hostname(decl.Hostname, v)}
	case decl.MachineID != nil:
		return &Builtin{MachineID: r.machineID(decl.MachineID, v)}
	case decl.SSHHostKeys != nil:
		types := slices.Clone(decl.SSHHostKeys.Types)
		if types == nil {
			types = []string{"ed25519", "rsa"}
		}
		return &Builtin{SSHHostKeys: &SSHHostKeys{Types: types}}
	case decl.AuthorizedKeys != nil:
		return &Builtin{AuthorizedKeys: r.authorizedKeys(decl.AuthorizedKeys)}
	case decl.ResolvConf != nil:
		d := decl.ResolvConf
		return &Builtin{ResolvConf: &ResolvConf{
			Nameservers: slices.Clone(d.Nameservers), Search: slices.Clone(d.Search),
			Options: slices.Clone(d.Options), Link: text(d.Link),
		}}
	}
	return nil
}

// rendered renders a key and checks the outcome; an absent key is fallback.
func (r *resolver) rendered(p place, s *string, fallback string, c check, v view) string {
	if s == nil {
		return fallback
	}
	problems := len(r.all)
	out := r.render(p, *s, v)
	if len(r.all) > problems {
		return out
	}
	if message, hint := c.text(out); message != "" {
		r.add(p, out, message+", for machine "+r.name, hint)
	}
	return out
}

func (r *resolver) fstab(decl *fstabDecl, v view) *Fstab {
	f := &Fstab{}
	for i := range decl.Mount {
		d := &decl.Mount[i]
		m := Mount{
			Device:  r.rendered(d.where.at("device"), d.Device, "", lineCheck, v),
			Path:    r.rendered(d.where.at("path"), d.Path, "", lineCheck, v),
			Type:    r.rendered(d.where.at("type"), d.Type, "auto", wordCheck, v),
			Options: r.rendered(d.where.at("options"), d.Options, "defaults", wordCheck, v),
		}
		if d.Dump != nil {
			m.Dump = *d.Dump
		}
		if d.Pass != nil {
			m.Pass = *d.Pass
		}
		if m.Path != "" && m.Path != "none" && m.Path != "swap" && !strings.HasPrefix(m.Path, "/") {
			r.add(d.where.at("path"), m.Path, "is not an absolute path", "write a path from /, or none for swap")
		}
		f.Mounts = append(f.Mounts, m)
	}
	return f
}

func (r *resolver) hostname(decl *hostnameDecl, v view) *Hostname {
	h := &Hostname{
		Name:   r.rendered(decl.where.at("name"), decl.Name, r.name, hostCheck, v),
		Domain: r.rendered(decl.where.at("domain"), decl.Domain, "", hostCheck, v),
	}
	if decl.Name == nil {
		if message, _ := hostCheck.text(h.Name); message != "" {
			r.add(decl.where, h.Name, message, `give the hook a name: hostname = { name = "…" }`)
		}
	}
	return h
}

func (r *resolver) machineID(decl *machineIDDecl, v view) *MachineID {
	return &MachineID{Value: r.rendered(decl.where.at("value"), decl.Value, text(r.decl.MachineID), checks["machine-id"], v)}
}

func (r *resolver) authorizedKeys(decl *authorizedKeysDecl) *AuthorizedKeys {
	a := &AuthorizedKeys{}
	for i := range decl.User {
		d := &decl.User[i]
		u := UserKeys{User: text(d.User), Keys: slices.Clone(d.Keys)}
		home := path.Join("/home", u.User)
		if u.User == "root" {
			home = "/root"
		}
		u.Home = cmp.Or(text(d.Home), home)
		u.UID, u.GID = parseOwner(d.Owner)
		for n, source := range d.Sources {
			u.Keys = append(u.Keys, r.keyFile(d.where.at("sources").item(n), source)...)
		}
		a.Users = append(a.Users, u)
	}
	return a
}

// keyFile reads public keys, one a line; comments and empty lines are left out.
func (r *resolver) keyFile(p place, name string) []string {
	var keys []string
	for line := range strings.Lines(string(r.read(p, name))) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if message, hint := checks["public-key"].text(line); message != "" {
			// The line is not shown: it may be a private key.
			r.add(p, name, "has a line that "+message, hint)
		}
		keys = append(keys, line)
	}
	return keys
}
