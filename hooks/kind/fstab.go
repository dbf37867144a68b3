package kind

import (
	"cmp"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// Fstab writes /etc/fstab.
type Fstab struct {
	Mounts []Mount `key:"mount" doc:"Lines of fstab(5)."`
}

// A Mount is one line of /etc/fstab, see fstab(5).
type Mount struct {
	Device  string `key:"device" is:"template" required:"true" doc:"UUID=…, LABEL=…, a path, a network share."`
	Path    string `key:"path" is:"template" required:"true" doc:"The mount point; none for swap."`
	Type    string `key:"type" is:"template" default:"auto" doc:"The file system's type; swap if absent where path is none."`
	Options string `key:"options" is:"template" default:"defaults" doc:"Mount options, with commas."`
	Dump    int    `key:"dump" is:"fs-dump" default:"0" doc:"fs_freq of fstab(5)."`
	Pass    int    `key:"pass" is:"fs-pass" default:"0" doc:"fs_passno of fstab(5)."`
}

func (f *Fstab) Help() Help {
	return Help{
		Summary: "write /etc/fstab",
		Text: `Writes /etc/fstab from the mounts given, in their order; white space and
backslashes in fields are escaped as fstab(5) wants it. Without mounts the file
has only a comment, which puts the image's own out of effect.

device   what is mounted: UUID=…, LABEL=…, PARTUUID=…, a path, a name
path     where: an absolute path, or none (or swap) for swap space
type     ext4, btrfs, nfs, swap, …; "auto" if it is left out, for none "swap"
options  "defaults" if they are left out; consider nofail
dump     0 or 1
pass     0, 1 or 2: the order of file system checks

/ is refused: it is the overlay that gitboot mounts before init begins.`,
	}
}

func (f *Fstab) Paths(string) []string { return []string{"/etc/fstab"} }

func (f *Fstab) Complete(Machine) {
	for i := range f.Mounts {
		m := &f.Mounts[i]
		usual := "auto"
		if m.swap() {
			usual = "swap"
		}
		m.Type, m.Options = cmp.Or(m.Type, usual), cmp.Or(m.Options, "defaults")
	}
}

func (f *Fstab) Check() (ps check.Problems) {
	first := map[string]bool{}
	for i, m := range f.Mounts {
		key, value, message, hint := m.wrong()
		ps.Add(value, message, hint, "mount", i, key)
		if message == "" && !m.swap() && first[m.Path] {
			ps.Add(m.Path, "is mounted twice", "remove one", "mount", i, "path")
		}
		first[m.Path] = true
	}
	return ps
}

func (m Mount) swap() bool { return m.Path == "none" || m.Path == "swap" }

func (m Mount) wrong() (key, value, message, hint string) {
	for _, f := range []struct{ key, value, wrong, hint string }{
		{"device", m.Device, cmp.Or(check.NotLine(m.Device), missing(m.Device)), "say what is mounted"},
		{"path", m.Path, cmp.Or(check.NotLine(m.Path), m.wrongPath()), "write a clean path from /, or none for swap"},
		{"type", m.Type, optionalWord(m.Type), "write it without white space"},
		{"options", m.Options, optionalWord(m.Options), "write them with commas, without white space"},
		{"type", m.Type, m.wrongType(), `write "swap", or give a mount point as path`},
		{"dump", "", outside(m.Dump, 1), "write 0 or 1"},
		{"pass", "", outside(m.Pass, 2), "write 0, 1 or 2"},
	} {
		if f.wrong != "" {
			return f.key, f.value, f.wrong, f.hint
		}
	}
	return "", "", "", ""
}

func (m Mount) wrongPath() string {
	switch {
	case m.swap():
		return ""
	case m.Path == "/":
		return "is the overlay that gitboot mounts"
	case !strings.HasPrefix(m.Path, "/"):
		return "is not an absolute path"
	case path.Clean(m.Path) != m.Path:
		return "is not a clean path; that would be " + path.Clean(m.Path)
	}
	return ""
}

func (m Mount) wrongType() string {
	if m.swap() && m.Type != "" && m.Type != "swap" {
		return "needs a mount point, and path is " + m.Path
	}
	return ""
}

func missing(s string) string {
	if s == "" {
		return "is missing"
	}
	return ""
}

func optionalWord(s string) string {
	if s == "" {
		return ""
	}
	return check.NotWord(s)
}

func outside(n, limit int) string {
	if n < 0 || n > limit {
		return "is not a number that fstab(5) has there"
	}
	return ""
}
