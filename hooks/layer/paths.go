package layer

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
	"github.com/gitboot/gitboot/rootfs"
)

// checkPath accepts the paths that a layer can carry and a machine can have.
func checkPath(p string) error {
	if wrong := check.WrongPath(p); wrong != "" {
		return fmt.Errorf("path %.300q %s", p, wrong)
	}
	return nil
}

func checkTarget(p, target string) error {
	if wrong := check.WrongTarget(target); wrong != "" {
		return fmt.Errorf("link %s has a target that %s: %.60q (%d bytes)", p, wrong, target, len(target))
	}
	return nil
}

// usualModes are the directories below which hooks may write and which
// distributions do not give mode 0755.
var usualModes = map[string]fs.FileMode{
	"/etc/NetworkManager/system-connections": 0o700,
	"/etc/iwd":                               0o700,
	"/etc/polkit-1/rules.d":                  0o750,
	"/etc/sudoers.d":                         0o750,
	"/etc/wireguard":                         0o700,
	"/root":                                  0o700,
	"/root/.gnupg":                           0o700,
	"/root/.ssh":                             0o700,
	"/tmp":                                   0o777 | fs.ModeSticky,
	"/var/cache/private":                     0o700,
	"/var/lib/bluetooth":                     0o700,
	"/var/lib/iwd":                           0o700,
	"/var/lib/private":                       0o700,
	"/var/log/private":                       0o700,
	"/var/tmp":                               0o777 | fs.ModeSticky,
}

// usual is the directory that belongs at p in an image that is not known or
// has none.
func usual(p string) rootfs.Stat {
	if mode, ok := usualModes[p]; ok {
		return rootfs.Stat{Mode: fs.ModeDir | mode}
	}
	return rootfs.Stat{Mode: fs.ModeDir | 0o755}
}

// usualLinks are links into /usr in images with a merged /usr.
var usualLinks = map[string]bool{"/bin": true, "/sbin": true, "/lib": true, "/lib32": true, "/lib64": true, "/libx32": true}

// hiddenAtBoot reports whether init mounts something over p.
func hiddenAtBoot(p string) bool {
	top, _, _ := strings.Cut(p[1:], "/")
	return top == "dev" || top == "proc" || top == "run" || top == "sys"
}

// FileName makes one harmless path element of a name.
func FileName(name string) string {
	name = strings.Map(func(c rune) rune {
		if c < 128 && (c == '.' || c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return c
		}
		return '-'
	}, path.Base(name))
	return name[:min(len(name), 100)]
}
