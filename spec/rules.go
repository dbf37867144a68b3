package spec

import (
	"fmt"
	"strings"
)

// text returns what a pointer holds, or "".
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (i *imageDecl) rules(d *problemList) {
	switch {
	case i.Archive != nil && isURL(*i.Archive) && i.SHA256 == nil:
		d.add(i.where.at("archive"), *i.Archive, "is a URL without a sha256", `add sha256 = "…"`)
	case i.SHA256 != nil && i.Archive == nil:
		d.add(i.where.at("sha256"), *i.SHA256, "is for archives", `to pin a pulled image, write pull = "…@sha256:…"`)
	}
}

func (b *buildDecl) rules(d *problemList) {
	from := text(b.From)
	archive, isArchive := strings.CutPrefix(from, "archive:")
	switch {
	case isArchive && isURL(archive) && b.SHA256 == nil:
		d.add(b.where.at("from"), from, "is a URL without a sha256", `add sha256 = "…"`)
	case !isArchive && b.SHA256 != nil:
		d.add(b.where.at("sha256"), *b.SHA256, "is for archives", `to pin an image, write from = "…@sha256:…"`)
	}
	switch {
	case from != "scratch" && b.Bootstrap != nil:
		d.add(b.where.at("bootstrap"), strings.Join(b.Bootstrap, " "), "needs an empty base", `write from = "scratch"`)
	case from == "scratch" && len(b.Bootstrap) == 0 && len(b.Containerfiles) == 0 && b.Recipe == nil:
		d.add(b.where.at("from"), from, "is a base with nothing in it", `add bootstrap = ["mmdebstrap", …], containerfiles or a recipe`)
	}
}

func (h *hookDecl) rules(d *problemList) {
	if len(h.File) == 0 && len(h.Run) == 0 && len(h.AtBoot) == 0 && h.builtins() == 0 {
		d.add(h.where, "", "does nothing", "give it a file, run, at_boot, or one of "+strings.Join(builtinNames(), ", "))
	}
	if h.builtins() > 1 {
		d.add(h.where, "", "has more than one built-in hook", "declare a hook for each")
	}
	last := map[string]int{}
	for i := range h.File {
		path := text(h.File[i].Path)
		if before, ok := last[path]; ok && h.File[before].Images == nil {
			d.add(h.File[i].where, path, fmt.Sprintf("is never written, since the one at %s is for every image", h.File[before].where),
				"give the first one images = […], or remove one")
		}
		last[path] = i
	}
}

func (h *hookDecl) builtins() int {
	n := 0
	for _, there := range []bool{h.Fstab != nil, h.Hostname != nil, h.MachineID != nil, h.SSHHostKeys != nil, h.AuthorizedKeys != nil, h.ResolvConf != nil} {
		if there {
			n++
		}
	}
	return n
}

func (s *atBootDecl) rules(d *problemList) {
	for _, body := range []struct {
		key  string
		text *string
	}{{"content", s.Content}, {"template", s.Template}} {
		if body.text != nil && !strings.HasPrefix(*body.text, "#!") {
			d.add(s.where.at(body.key), firstLine(*body.text), noInterpreter, interpreterHint)
		}
	}
}

const (
	noInterpreter   = "doesn't say what runs it"
	interpreterHint = "begin it with #!/bin/sh, or like"
)

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (u *userDecl) rules(d *problemList) {
	if u.Owner == nil && text(u.User) != "root" {
		d.add(u.where, text(u.User), "has no owner", `add owner = "1000:1000" with the user's numbers in the image`)
	}
	if len(u.Keys) == 0 && len(u.Sources) == 0 {
		d.add(u.where, text(u.User), "has no keys", "add keys = […] or sources = […]")
	}
}

func (r *resolvConfDecl) rules(d *problemList) {
	if r.Link != nil && (r.Nameservers != nil || r.Search != nil || r.Options != nil) {
		d.add(r.where.at("link"), *r.Link, "is given beside content", "give only link, or only the others")
	}
}
