package hooks

import (
	"fmt"
	"path"
	"strings"
)

var fstabHelp = Help{
	Name:    "fstab",
	Summary: "write /etc/fstab",
	Text: `Writes /etc/fstab from the mounts given, in their order; white space and
backslashes in fields are escaped as fstab(5) wants it. Without mounts the file
has only a comment, which puts the image's own out of effect.

device   what is mounted: UUID=…, LABEL=…, PARTUUID=…, a path, a name
path     where: an absolute path, or none (or swap) for swap space
type     ext4, btrfs, nfs, swap, …; "auto" if it is left out
options  "defaults" if they are left out; consider nofail
dump     0 or 1
pass     0, 1 or 2: the order of file system checks

/ is refused: it is the overlay that gitboot mounts before init begins.`,
}

func (f *Fstab) render(r *renderer, hook string) error {
	var b strings.Builder
	b.WriteString(generated(hook))
	seen := make(map[string]bool)
	for i, m := range f.Mounts {
		if err := m.check(); err != nil {
			return fmt.Errorf("mount %d: %w", i+1, err)
		}
		if !m.swap() && seen[m.Path] {
			return fmt.Errorf("mount %d: %s is mounted twice; remove one", i+1, m.Path)
		}
		seen[m.Path] = true
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%d\t%d\n", escapeMount(m.Device), escapeMount(m.Path),
			escapeMount(orDefault(m.Type, "auto")), escapeMount(orDefault(m.Options, "defaults")), m.Dump, m.Pass)
	}
	return r.text(hook, "/etc/fstab", b.String())
}

func (m Mount) swap() bool { return m.Path == "none" || m.Path == "swap" }

func (m Mount) check() error {
	for _, field := range []string{m.Device, m.Path, m.Type, m.Options} {
		if strings.ContainsAny(field, "\n\r\x00") {
			return fmt.Errorf("field %q has a line end in it", field)
		}
	}
	switch {
	case m.Device == "":
		return fmt.Errorf("mount on %q has no device", m.Path)
	case m.Path == "/":
		return fmt.Errorf("/ is the overlay that gitboot mounts; leave it out of fstab")
	case m.swap() && m.Type != "swap":
		return fmt.Errorf("path %q is for type swap, not %q", m.Path, m.Type)
	case !m.swap() && (!strings.HasPrefix(m.Path, "/") || path.Clean(m.Path) != m.Path):
		return fmt.Errorf("path %q is not a clean absolute path, nor none", m.Path)
	case m.Dump < 0 || m.Dump > 1:
		return fmt.Errorf("dump of %s is %d; want 0 or 1", m.Path, m.Dump)
	case m.Pass < 0 || m.Pass > 2:
		return fmt.Errorf("pass of %s is %d; want 0, 1 or 2", m.Path, m.Pass)
	}
	return nil
}

// escapeMount escapes as getmntent(3) reads it; a field that begins with #
// would be a comment.
func escapeMount(s string) string {
	s = strings.NewReplacer(" ", `\040`, "\t", `\011`, `\`, `\134`).Replace(s)
	if strings.HasPrefix(s, "#") {
		s = `\043` + s[1:]
	}
	return s
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
