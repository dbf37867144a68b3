package spec

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/hooks/check"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/schedule"
	"github.com/gitboot/gitboot/spec/problem"
	"github.com/gitboot/gitboot/spec/table"
)

// text returns what a pointer holds, or "".
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (i *imageDecl) Rules(d *problem.List) {
	switch {
	case i.Archive != nil && table.IsURL(*i.Archive) && i.SHA256 == nil:
		d.Add(i.where.At("archive"), *i.Archive, "is a URL without a sha256", `add sha256 = "…"`)
	case i.SHA256 != nil && i.Archive == nil:
		d.Add(i.where.At("sha256"), *i.SHA256, "is for archives", `to pin a pulled image, write pull = "…@sha256:…"`)
	}
	if i.Strip != nil && i.Archive == nil {
		d.Add(i.where.At("strip"), strconv.Itoa(*i.Strip), "is for archives", "remove it")
	}
	i.signed(d)
}

// signed refuses keys that nothing would be held against.
func (i *imageDecl) signed(d *problem.List) {
	if len(i.ObjectsFrom) > 0 && i.Pull == nil && (i.Build == nil || i.Build.Push == nil) {
		d.Add(i.where.At("objects_from"), i.ObjectsFrom[0], "is for images of registries", "remove it")
	}
	switch {
	case i.CosignKey == nil:
	case i.Archive != nil:
		d.Add(i.where.At("cosign_key"), *i.CosignKey, "is for images of registries", "remove it; an archive is known by its sha256")
	case i.Build != nil && i.Build.Push == nil:
		d.Add(i.where.At("cosign_key"), *i.CosignKey, "is for images that are pulled", "remove it; for what the image is built from, write it beside from")
	}
}

func (b *buildDecl) Rules(d *problem.List) {
	from := text(b.From)
	archive, isArchive := strings.CutPrefix(from, "archive:")
	if b.Deltas != nil && *b.Deltas > 0 && b.Push == nil {
		d.Add(b.where.At("deltas"), strconv.Itoa(*b.Deltas), "is for images that are pushed", "add push, or remove it")
	}
	switch {
	case isArchive && table.IsURL(archive) && b.SHA256 == nil:
		d.Add(b.where.At("from"), from, "is a URL without a sha256", `add sha256 = "…"`)
	case !isArchive && b.SHA256 != nil:
		d.Add(b.where.At("sha256"), *b.SHA256, "is for archives", `to pin an image, write from = "…@sha256:…"`)
	}
	if b.Strip != nil && !isArchive {
		d.Add(b.where.At("strip"), strconv.Itoa(*b.Strip), "is for archives", "remove it")
	}
	switch {
	case from != "scratch" && b.Bootstrap != nil:
		d.Add(b.where.At("bootstrap"), strings.Join(b.Bootstrap, " "), "needs an empty base", `write from = "scratch"`)
	case from == "scratch" && len(b.Bootstrap) == 0 && len(b.Containerfiles) == 0 && b.Recipe == nil:
		d.Add(b.where.At("from"), from, "is a base with nothing in it", `add bootstrap = ["mmdebstrap", …], containerfiles or a recipe`)
	}
}

// Rules refuses a table that nothing could ever satisfy.
func (a *approveDecl) Rules(d *problem.List) {
	if a.After == nil && a.Tag == nil {
		d.Add(a.where, "", "has neither after nor tag", `give at least one of them, such as { tag = "approved/*" }, or write "manual"`)
	}
}

// Rules finds what is wrong with a window each of whose values is right by itself.
func (w *windowDecl) Rules(d *problem.List) {
	for is, value := range map[string]*string{"cron": w.Cron, "duration": w.Duration, "time-zone": w.TimeZone} {
		if value == nil && is != "time-zone" || value != nil && !table.Of(is).Right(*value) {
			return // that has been told
		}
	}
	if _, err := schedule.ParseWindow(text(w.Cron), duration(w.Duration), text(w.TimeZone), time.UTC); err != nil {
		d.Add(w.where, "", err.Error(), `write for example { cron = "0 2 * * *", duration = "3h", time_zone = "Europe/Berlin" }`)
	}
}

func (h *hookDecl) Rules(d *problem.List) {
	if len(h.File)+len(h.Link)+len(h.Dir)+len(h.Remove)+len(h.Run)+len(h.AtBoot) == 0 && h.Builtin == (kind.Builtin{}) {
		d.Add(h.where, "", "does nothing", "give it a file, link, dir, remove, run, at_boot, or one of "+strings.Join(kind.Names(), ", "))
	}
	if _, _, err := h.Builtin.One(); err != nil && h.Builtin != (kind.Builtin{}) {
		d.Add(h.where, "", "has more than one built-in hook", "declare a hook for each")
	}
	for _, targets := range h.targets() {
		unreachable(d, targets)
	}
}

// unreachable reports what comes after one of the same path for every image.
func unreachable(d *problem.List, targets []*targetDecl) {
	last := map[string]*targetDecl{}
	for _, t := range targets {
		path := text(t.Path)
		if before := last[path]; before != nil && before.Images == nil {
			d.Add(t.where, path, fmt.Sprintf("is never written, since the one at %s is for every image", before.where),
				"give the first one images = […], or remove one")
		}
		last[path] = t
	}
}

func (s *atBootDecl) Rules(d *problem.List) {
	for _, body := range []struct {
		key  string
		text *string
	}{{"content", s.Content}, {"template", s.Template}} {
		if body.text == nil || body.key == "template" && strings.Contains(plain.First(*body.text), "{{") {
			continue
		}
		if wrong := check.WrongScript([]byte(*body.text)); wrong != "" {
			d.Add(s.where.At(body.key), plain.First(*body.text), wrong, interpreterHint)
		}
	}
}

const interpreterHint = "begin it with #!/bin/sh, or like"

// safeless is why there is no menu of plain entries.
func safeless(b *Boot) string {
	if b.SecureBoot {
		return "secure_boot = true"
	}
	return "loader = \"" + b.Loader + "\""
}

// readFirmware reads what is otherwise where a Raspberry Pi's firmware boots the machine: it
// starts kernels of one architecture here, and tries what is new once, or not.
func readFirmware(r *resolver, to *Boot) {
	if to.Loader != "rpi" {
		return
	}
	where, of := r.decl.where, "machine "+r.name+", which a Raspberry Pi's firmware boots,"
	if arch := text(r.merged.Arch); arch != "arm64" {
		r.Add(where, arch, of+" is no arm64", `write arch = "arm64" for it`)
	}
	if b := r.merged.Boot; b.Tries != nil && *b.Tries != 1 {
		r.Add(where, "tries", of+" tries what is new once", "leave boot.tries out")
	}
	to.Tries = 1
	if t := to.Timeout; t != nil {
		r.Add(where, "timeout", of+" shows no menu", "leave boot.timeout out")
	}
}

// checkLent refuses images of which nobody else could tell what a machine makes of them:
// signatures lie beside images in registries.
func checkLent(r *resolver, w *Wants) {
	if w.Boot.SignedBy == "" {
		return
	}
	for _, image := range w.Images {
		if image.Pull == nil && !r.over {
			r.Add(r.decl.where.At("images"), image.Name, "comes from no registry, and machine "+r.name+" boots what machine "+w.Boot.SignedBy+" has signed, beside images in registries",
				"give the image a pull, or a build that is pushed and is not in builds of this machine; or leave boot.signed_by out")
		}
	}
}
