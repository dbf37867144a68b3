package spec

import "strings"

// hookMistakes are mistakes in hooks, as mistakes has them.
var hookMistakes = map[string]struct{ text, want string }{
	"mount on root":     {"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"/\"\n", `gitboot.toml:3: hook.h.fstab.mount[0].path = "/": is the overlay that gitboot mounts`},
	"unclean mount":     {"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"/home/\"\n", `gitboot.toml:3: hook.h.fstab.mount[0].path = "/home/": is not a clean path; that would be /home`},
	"slashed mount":     {"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"//a\"\n", `gitboot.toml:3: hook.h.fstab.mount[0].path = "//a": is not a clean path; that would be /a`},
	"dotted mount":      {"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"/a/../b\"\n", `gitboot.toml:3: hook.h.fstab.mount[0].path = "/a/../b": is not a clean path; that would be /b`},
	"mounted twice":     {"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"/a\"\n[[hook.h.fstab.mount]]\ndevice = \"y\"\npath = \"/a\"\n", `gitboot.toml:6: hook.h.fstab.mount[1].path = "/a": is mounted twice`},
	"swap of type":      {"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"none\"\ntype = \"auto\"\n", `gitboot.toml:4: hook.h.fstab.mount[0].type = "auto": needs a mount point, and path is none`},
	"dump":              {"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"/a\"\ndump = 2\n", `gitboot.toml:4: hook.h.fstab.mount[0].dump = "2": is not a number that fstab(5) has there; write a number from 0 to 1`},
	"pass":              {"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"/a\"\npass = 3\n", `gitboot.toml:4: hook.h.fstab.mount[0].pass = "3": is not a number that fstab(5) has there; write a number from 0 to 2`},
	"whiteout":          {"[[hook.h.file]]\npath = \"/etc/.wh.motd\"\ncontent = \"\"\n", `gitboot.toml:2: hook.h.file[0].path = "/etc/.wh.motd": has a name that begins with .wh.`},
	"user numberless":   {"[[hook.h.authorized-keys.user]]\nuser = \"ada\"\nowner = \"0:0\"\nkeys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM7cf+3+aGHIb3EW7IWGs2jgdpu2PFvJYDodeKWpOvDX\"]\n", `gitboot.toml:1: hook.h.authorized-keys.user[0] = "ada": has no owner`},
	"key of other type": {"[[hook.h.authorized-keys.user]]\nuser = \"root\"\nkeys = [\"ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIM7cf+3+aGHIb3EW7IWGs2jgdpu2PFvJYDodeKWpOvDX a\"]\n", `gitboot.toml:3: hook.h.authorized-keys.user[0].keys[0]: is not a public key: its data is of type "ssh-ed25519"`},
	"key no base64":     {"[[hook.h.authorized-keys.user]]\nuser = \"root\"\nkeys = [\"ssh-ed25519 !AAAAC3NzaC1lZDI1NTE5AAAAIM7cf+3+aGHIb3EW7IWGs2jgdpu2PFvJYDodeKWpOvDX a\"]\n", `gitboot.toml:3: hook.h.authorized-keys.user[0].keys[0]: is not a public key: its data is no base64`},
	"zero machine id":   {"[hook.h.machine-id]\nvalue = \"00000000000000000000000000000000\"\n", `gitboot.toml:2: hook.h.machine-id.value = "00000000000000000000000000000000": is not a machine id`},
	"long host name":    {"[hook.h.hostname]\nname = \"a..b\"\n", `gitboot.toml:2: hook.h.hostname.name = "a..b": is not a host name`},
	"long name":         {"[[hook.h.file]]\npath = \"/etc/" + strings.Repeat("a", 256) + "\"\ncontent = \"\"\n", `gitboot.toml:2: hook.h.file[0].path = "/etc/aaaaaaaa`},
}
