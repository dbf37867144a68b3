package spec

import (
	"errors"
	"strings"
	"testing"
)

// Each case is one mistake in a repo that is right otherwise, and what must be
// said of it: file:line: key = "value": message; hint, or its beginning.
var mistakes = map[string]struct{ text, want string }{
	"arch of what":        {"[profile.p]\narch = \"aarch64\"\n", `gitboot.toml:2: profile.p.arch = "aarch64": is not an architecture; write one of amd64, arm64`},
	"boot test of what":   {"[profile.p]\nboot_test = \"yes\"\n", `gitboot.toml:2: profile.p.boot_test = "yes": is not a boot test; write one of on, off`},
	"little memory":       {"[profile.p]\nboot_test = { memory = \"1MB\" }\n", `gitboot.toml:2: profile.p.boot_test.memory = "1MB": is less than 64MB; write for example 2GB, in thousands; a machine takes 64MB at least`},
	"disk of what role":   {"[profile.p.disk]\npartitions = [{ role = \"root\" }]\n", `gitboot.toml:2: profile.p.disk.partitions[0].role = "root": is not what a partition is for (did you mean "boot"?); write one of bios, esp, boot, stage, data, swap`},
	"disk on f2fs":        {"[profile.p.disk]\npartitions = [{ role = \"stage\", filesystem = \"f2fs\" }]\n", `gitboot.toml:2: profile.p.disk.partitions[0].filesystem = "f2fs": is not a file system that can be made (did you mean "xfs"?); write one of ext4, xfs, btrfs`},
	"disk's share":        {"[profile.p.disk]\npartitions = [{ role = \"stage\", share = \"0%\" }]\n", `gitboot.toml:2: profile.p.disk.partitions[0].share = "0%": is not a share; write for example 50%`},
	"disk's device":       {"[profile.p.disk]\ndevice = \"sda\"\n", `gitboot.toml:2: profile.p.disk.device = "sda": is not a device; write its path`},
	"disk's size":         {"[profile.p.disk]\nsize = \"200GB\"\n", `gitboot.toml:2: profile.p.disk.size = "200GB": is not a bound on a disk's size; write for example >=200GB`},
	"no root file":        {"-- other.toml --\n", `gitboot.toml: cannot be read: file does not exist; gitboot init writes one`},
	"invalid TOML":        {"x = \n", `gitboot.toml:1: x: is not valid TOML`},
	"unknown key":         {"[image.a]\npull = \"a\"\nplatfrom = \"x\"\n", `gitboot.toml:3: image.a.platfrom: is not a known key (did you mean "platform"?)`},
	"unknown table":       {"[machines.a]\n", `gitboot.toml:1: machines: is not a known key (did you mean "machine"?)`},
	"key set twice":       {"[image.a]\npull = \"a\"\npull = \"b\"\n", `gitboot.toml:3: image.a.pull: is declared twice, first at gitboot.toml:2`},
	"table twice":         {"[image.a]\npull = \"a\"\n[image.a]\n", `gitboot.toml:3: image.a: is declared twice, first at gitboot.toml:1`},
	"inline and header":   {"[image]\na = { pull = \"a\" }\n[image.a.build]\nfrom = \"b\"\n", `gitboot.toml:3: image.a: is not valid TOML: it adds to a table that is complete, at gitboot.toml:2; write the whole table in one place`},
	"inline and dots":     {"[machine.m]\nvars = { a = 1 }\nvars.b = 2\n", `gitboot.toml:3: machine.m.vars: is not valid TOML: it adds to a table that is complete, at gitboot.toml:2`},
	"dots and header":     {"[machine.m]\nboot.mode = \"menu\"\n[machine.m.boot]\ntimeout = 3\n", `gitboot.toml:3: machine.m.boot: is not valid TOML: it adds to a table that is complete, at gitboot.toml:2`},
	"header and dots":     {"[image.a.build]\nfrom = \"x\"\n[image]\na.build.push = \"x:1\"\n", `gitboot.toml:4: image.a.build: is not valid TOML: it adds to a table that is complete, at gitboot.toml:1`},
	"in two files":        {"include = [\"b.toml\"]\n[image.a]\npull = \"a\"\n-- b.toml --\n\n[image.a]\npull = \"b\"\n", `b.toml:2: image.a: is declared twice, first at gitboot.toml:2`},
	"repo elsewhere":      {"include = [\"b.toml\"]\n-- b.toml --\nrepo = \"x\"\n", `b.toml:1: repo: is only read in gitboot.toml; move it there`},
	"repo of two words":   {"repo = \"my fleet\"\n", `gitboot.toml:1: repo = "my fleet": is not a name`},
	"include elsewhere":   {"include = [\"b.toml\"]\n-- b.toml --\ninclude = []\n", `b.toml:1: include: is only read in gitboot.toml; move it there`},
	"include nothing":     {"include = [\"b.toml\"]\n", `gitboot.toml:1: include[0] = "b.toml": is not a file of the repo`},
	"include outside":     {"include = [\"../*.toml\"]\n", `gitboot.toml:1: include[0] = "../*.toml": leaves the repo`},
	"include bad glob":    {"include = [\"[\"]\n", `gitboot.toml:1: include[0] = "[": is not a valid glob`},
	"wrong type":          {"[image.a]\npull = 3\n", `gitboot.toml:2: image.a.pull: is 3, not a string; write it in quotes: "3"`},
	"boolean for string":  {"[image.a]\npull = true\n", `gitboot.toml:2: image.a.pull: is true, not a string; write it in quotes: "true"`},
	"array for string":    {"[image.a]\npull = [1]\n", `gitboot.toml:2: image.a.pull: is an array, not a string; write a string`},
	"table for string":    {"[image.a]\npull = {a = 1}\n", `gitboot.toml:2: image.a.pull: is a table, not a string; write a string`},
	"date for string":     {"[image.a]\npull = 2020-01-01\n", `gitboot.toml:2: image.a.pull: is a date or time, not a string; write a string`},
	"glob for a name":     {"[image.a]\npull = \"r.example/a:1\"\n[machine.m]\nimages = [\"{a,b}\"]\n", `gitboot.toml:4: machine.m.images[0] = "{a,b}": is no image of this repo; one name is written here, and no glob or list in one string; use up to 64 letters, digits, - and _, and dots between them; it becomes part of file names and menus`},
	"no source":           {"[image.a]\nkeep = 2\n", `gitboot.toml:1: image.a: has neither pull, archive nor build; give one of them`},
	"two sources":         {"[image.a]\npull = \"a\"\narchive = \"/b\"\n", `gitboot.toml:3: image.a.archive: is given beside pull`},
	"keep nothing":        {"[image.a]\npull = \"a\"\nkeep = 0\n", `gitboot.toml:3: image.a.keep = "0": is not a number of generations; write a number from 1 to 1000`},
	"bad reference":       {"[image.a]\npull = \"Example.com/Foo:x\"\n", `gitboot.toml:2: image.a.pull = "Example.com/Foo:x": is not an image reference`},
	"bad constraint":      {"[image.a]\npull = \"x.example/a:~1.2.3.4.5\"\n", `gitboot.toml:2: image.a.pull = "x.example/a:~1.2.3.4.5": has neither a tag nor a constraint on versions such as ~12, ^1.4, 1.* or >=2,<4; write registry/repository:tag, in lower case`},
	"constraint pinned":   {"[image.a]\npull = \"x.example/a:~1@sha256:0\"\n", `gitboot.toml:2: image.a.pull = "x.example/a:~1@sha256:0": is not an image reference`},
	"constraint in push":  {"[image.a.build]\nfrom = \"a\"\nrun = [\"x\"]\npush = \"x.example/a:~1\"\n", `gitboot.toml:4: image.a.build.push = "x.example/a:~1": is not an image reference with a tag`},
	"no such key":         {"[image.a]\npull = \"a\"\ncosign_key = \"a.pub\"\n", `gitboot.toml:3: image.a.cosign_key = "a.pub": is not in the repo`},
	"key outside":         {"[image.a]\npull = \"a\"\ncosign_key = \"../a.pub\"\n", `gitboot.toml:3: image.a.cosign_key = "../a.pub": leaves the repo`},
	"key of all":          {"[defaults.image]\ncosign_key = \"a.pub\"\n", `gitboot.toml:2: defaults.image.cosign_key = "a.pub": is not in the repo`},
	"key of a build":      {"[image.a.build]\nfrom = \"a\"\nrun = [\"x\"]\ncosign_key = \"a.pub\"\n", `gitboot.toml:4: image.a.build.cosign_key = "a.pub": is not in the repo`},
	"key in words":        {"[image.a]\npull = \"a\"\ncosign_key = \"a.pub\"\n-- a.pub --\nours\n", `gitboot.toml:3: image.a.cosign_key = "a.pub": has no public key in PEM; write what "cosign public-key" prints`},
	"private cosign key":  {"[image.a]\npull = \"a\"\ncosign_key = \"a.pub\"\n-- a.pub --\n-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n", `gitboot.toml:3: image.a.cosign_key = "a.pub": holds a private key, which whoever reads this file can sign with; make a new pair`},
	"key for an archive":  {"[image.a]\narchive = \"/a\"\ncosign_key = \"/a.pub\"\n", `gitboot.toml:3: image.a.cosign_key = "/a.pub": is for images of registries; remove it; an archive is known by its sha256`},
	"key for a build":     {"[image.a]\ncosign_key = \"/a.pub\"\n[image.a.build]\nfrom = \"a\"\nrun = [\"x\"]\n", `gitboot.toml:2: image.a.cosign_key = "/a.pub": is for images that are pulled; remove it; for what the image is built from, write it beside from`},
	"repository with tag": {"[image.a]\npull = \"a\"\ncosign_repository = \"a:1\"\n", `gitboot.toml:3: image.a.cosign_repository = "a:1": is not a repository; write registry/repository, without a tag`},
	"archive missing":     {"[image.a]\narchive = \"a.tar\"\n", `gitboot.toml:2: image.a.archive = "a.tar": is not in the repo`},
	"script missing":      {"[image.a.build]\nfrom = \"scratch\"\nbootstrap = [\"./a.sh\"]\n", `gitboot.toml:3: image.a.build.bootstrap[0] = "./a.sh": is not in the repo`},
	"script outside":      {"[image.a.build]\nfrom = \"scratch\"\nbootstrap = [\"./../a.sh\"]\n", `gitboot.toml:3: image.a.build.bootstrap[0] = "./../a.sh": leaves the repo`},
	"script without ./":   {"[image.a.build]\nfrom = \"scratch\"\nbootstrap = [\"x/a.sh\"]\n", `gitboot.toml:3: image.a.build.bootstrap[0] = "x/a.sh": is neither the name of a program nor a file of the repo; write`},
	"archive outside":     {"[image.a]\narchive = \"../a.tar\"\n", `gitboot.toml:2: image.a.archive = "../a.tar": leaves the repo`},
	"URL without digest":  {"[image.a]\narchive = \"https://a.b/c\"\n", `gitboot.toml:2: image.a.archive = "https://a.b/c": is a URL without a sha256`},
	"strip of a pull":     {"[image.a]\npull = \"a\"\nstrip = 1\n", `gitboot.toml:3: image.a.strip = "1": is for archives; remove it`},
	"strip of a base":     {"[image.a.build]\nfrom = \"a\"\nrun = [\"x\"]\nstrip = 1\n", `gitboot.toml:4: image.a.build.strip = "1": is for archives; remove it`},
	"strip too much":      {"[image.a]\narchive = \"/a\"\nstrip = 9\n", `gitboot.toml:3: image.a.strip = "9": is not a number of folders; write a number from 0 to 8`},
	"cron time zone":      {"[image.a]\npull = \"a\"\nupdate = \"TZ=UTC\"\n", `gitboot.toml:3: image.a.update = "TZ=UTC": names a time zone and no times`},
	"cron unknown zone":   {"[image.a]\npull = \"a\"\nupdate = \"CRON_TZ=Mars 0 3 * * *\"\n", `gitboot.toml:3: image.a.update = "CRON_TZ=Mars 0 3 * * *": names an unknown time zone: "Mars"`},
	"cron backwards":      {"[image.a]\npull = \"a\"\nupdate = \"@every -1h\"\n", `gitboot.toml:3: image.a.update = "@every -1h": is more often than every minute`},
	"cron never":          {"[image.a]\npull = \"a\"\nupdate = \"0 0 31 2 *\"\n", `gitboot.toml:3: image.a.update = "0 0 31 2 *": never comes`},
	"window alone":        {"[machine.m]\nwindows = [{ cron = \"@daily\" }]\n", `gitboot.toml:2: machine.m.windows[0]: has no duration`},
	"window never":        {"[profile.p]\nwindows = [{ cron = \"0 0 31 2 *\", duration = \"1h\" }]\n", `gitboot.toml:2: profile.p.windows[0].cron = "0 0 31 2 *": never comes`},
	"window in no zone":   {"[profile.p]\nreboot_windows = [{ cron = \"@daily\", duration = \"1h\", time_zone = \"Europe/Atlantis\" }]\n", `gitboot.toml:2: profile.p.reboot_windows[0].time_zone = "Europe/Atlantis": names an unknown time zone`},
	"window in two zones": {"[profile.p]\nwindows = [{ cron = \"CRON_TZ=UTC @daily\", duration = \"1h\", time_zone = \"UTC\" }]\n", `gitboot.toml:2: profile.p.windows[0]: names a time zone, and so does its schedule`},
	"window every":        {"[profile.p]\nwindows = [{ cron = \"@every 6h\", duration = \"1h\" }]\n", `gitboot.toml:2: profile.p.windows[0]: opens at no time of day`},
	"window too short":    {"[profile.p]\nwindows = [{ cron = \"@daily\", duration = \"30s\" }]\n", `gitboot.toml:2: profile.p.windows[0]: is open for 30s`},
	"cron nonsense":       {"[image.a]\npull = \"a\"\nupdate = \"hourly\"\n", `gitboot.toml:3: image.a.update = "hourly": is not a schedule`},
	"argument newline":    {"[image.a]\npull = \"a\"\nkernel_args = [\n \"a\",\n \"b\\nc\",\n]\n", `gitboot.toml:5: image.a.kernel_args[1] = "b\nc": is not one kernel argument`},
	"two arguments":       {"[image.a]\npull = \"a\"\nkernel_args = [\"a b\"]\n", `gitboot.toml:3: image.a.kernel_args[0] = "a b": is more than one argument`},
	"open quote":          {"[image.a]\npull = \"a\"\nkernel_args = ['a=\"b']\n", `gitboot.toml:3: image.a.kernel_args[0] = "a=\"b": has a double quote without its pair`},
	"inner quote":         {"[image.a]\npull = \"a\"\nkernel_args = ['a=b\"c\"d']\n", `gitboot.toml:3: image.a.kernel_args[0] = "a=b\"c\"d": has a quote or backslash`},
	"backslash":           {"[image.a]\npull = \"a\"\nkernel_args = ['a\\b']\n", `gitboot.toml:3: image.a.kernel_args[0] = "a\\b": has a quote or backslash`},
	"our argument":        {"[image.a]\npull = \"a\"\nkernel_args = [\"gitboot.stage=x\"]\n", `gitboot.toml:3: image.a.kernel_args[0] = "gitboot.stage=x": is set by gitboot itself`},
	"our argument quoted": {"[image.a]\npull = \"a\"\nkernel_args = ['\"gitboot.deployment=x\"']\n", `gitboot.toml:3: image.a.kernel_args[0] = "\"gitboot.deployment=x\"": is set by gitboot itself`},
	"our machine":         {"[image.a]\npull = \"a\"\nkernel_args = [\"gitboot.machine=x\"]\n", `gitboot.toml:3: image.a.kernel_args[0] = "gitboot.machine=x": is set by gitboot itself`},
	"our wait":            {"[image.a]\npull = \"a\"\nkernel_args = [\"gitboot.wait=3m\"]\n", `gitboot.toml:3: image.a.kernel_args[0] = "gitboot.wait=3m": is not a number of seconds up to a day`},
	"unlock way":          {"[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\n[machine.m.unlock]\nways = [\"fido2\"]\n", `gitboot.toml:6: machine.m.unlock.ways[0] = "fido2": is not a way to open an encrypted disk`},
	"unlock place":        {"[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\nunlock.keyfile = \"UUID=1:/k/../l\"\n", `gitboot.toml:5: machine.m.unlock.keyfile`},
	"unlock argument":     {"[image.a]\npull = \"a\"\nkernel_args = [\"gitboot.unlock=tpm1\"]\n", `gitboot.toml:3: image.a.kernel_args[0] = "gitboot.unlock=tpm1": "tpm1" is none of tpm2, keyfile and passphrase`},
	"our unknown":         {"[image.a]\npull = \"a\"\nkernel_args = [\"gitboot.wiat=3\"]\n", `gitboot.toml:3: image.a.kernel_args[0] = "gitboot.wiat=3": is no parameter that gitboot knows`},
	"empty in quotes":     {"[image.a]\npull = \"a\"\nkernel_args = ['\"\"']\n", `gitboot.toml:3: image.a.kernel_args[0] = "\"\"": is empty`},
	"space in quotes":     {"[image.a]\npull = \"a\"\nkernel_args = ['\" x\"']\n", `gitboot.toml:3: image.a.kernel_args[0] = "\" x\"": is empty or begins with a space`},
	"C1 control":          {"[image.a]\npull = \"a\"\nkernel_args = [\"x=\\u0081y\"]\n", `gitboot.toml:3: image.a.kernel_args[0] = "x=\u0081y": is empty, not UTF-8, or has a control character`},
	"cron empty element":  {"[image.a]\npull = \"a\"\nupdate = \"1,,2 * * * *\"\n", `gitboot.toml:3: image.a.update = "1,,2 * * * *": is not a schedule: "1,,2"`},
	"cron comma last":     {"[image.a]\npull = \"a\"\nupdate = \"0 1, * * *\"\n", `gitboot.toml:3: image.a.update = "0 1, * * *": is not a schedule: "1,"`},
	"cron star range":     {"[image.a]\npull = \"a\"\nupdate = \"*-5 * * * *\"\n", `gitboot.toml:3: image.a.update = "*-5 * * * *": is not a schedule: "*-5"`},
	"cron plus":           {"[image.a]\npull = \"a\"\nupdate = \"+5 * * * *\"\n", `gitboot.toml:3: image.a.update = "+5 * * * *": is not a schedule: "+5"`},
	"cron step of zero":   {"[image.a]\npull = \"a\"\nupdate = \"*/0 * * * *\"\n", `gitboot.toml:3: image.a.update = "*/0 * * * *": is not a schedule: step`},
	"port 0":              {"[image.a]\npull = \"r.lan:0/a\"\n", `gitboot.toml:2: image.a.pull = "r.lan:0/a": has port 0, which is not one of 1 to 65535`},
	"port 99999":          {"[image.a.build]\nfrom = \"r.lan:99999/a:1\"\n", `gitboot.toml:2: image.a.build.from = "r.lan:99999/a:1": has port 99999`},
	"port of push":        {"[image.a.build]\nfrom = \"a\"\npush = \"localhost:70000/a:1\"\n", `gitboot.toml:3: image.a.build.push = "localhost:70000/a:1": has port 70000`},
	"port of a mirror":    {"[image.a]\npull = \"a\"\nmirrors = [\"m.lan:00000/x\"]\n", `gitboot.toml:3: image.a.mirrors[0] = "m.lan:00000/x": has port 00000`},
	"long repository":     {"[image.a]\npull = \"r.lan/" + strings.Repeat("a", 256) + "\"\n", `gitboot.toml:2: image.a.pull = "r.lan/aaaaaaaaaa`},
	"tmpfs size":          {"[image.a]\npull = \"a\"\ntmpfs_size = \"120%\"\n", `gitboot.toml:3: image.a.tmpfs_size = "120%": is not a size`},
	"health: host":        {"[defaults.machine.health.required]\nhosts = [\"gw:0\"]\n", `gitboot.toml:2: defaults.machine.health.required.hosts[0] = "gw:0": has port "0", which is not one of 1 to 65535`},
	"health: unit":        {"[profile.a.health.wanted]\nunits = [\"a b\"]\n", `gitboot.toml:2: profile.a.health.wanted.units[0] = "a b": is not a service's name`},
	"health: command":     {"[profile.a.health.required]\ncommands = [\"./x\"]\n", `gitboot.toml:2: profile.a.health.required.commands[0] = "./x": names a program by a path that is not a clean one`},
	"health: quote":       {"[profile.a.health.required]\ncommands = [\"x \\\"y\"]\n", `gitboot.toml:2: profile.a.health.required.commands[0] = "x \"y": has a double quote without its pair`},
	"health: https":       {"[profile.a.health]\nconfirm = \"outside\"\nconfirm_url = \"https://a\"\n", `gitboot.toml:3: profile.a.health.confirm_url = "https://a": does not begin with http://`},
	"health: days":        {"[profile.a.health]\ndeadline = \"25h\"\n", `gitboot.toml:2: profile.a.health.deadline = "25h": is not a length of time up to a day`},
	"loader: unknown":     {"[defaults.machine.boot]\nloader = \"lilo\"\n", `gitboot.toml:2: defaults.machine.boot.loader = "lilo": is not a boot loader; write one of grub, systemd-boot`},
	"on_bad: unknown":     {"[defaults.machine.boot]\non_bad = \"undo\"\n", `gitboot.toml:2: defaults.machine.boot.on_bad = "undo": is not what can be done about what is bad; write one of revert`},
	"no tries":            {"[defaults.machine.boot]\ntries = 0\n", `gitboot.toml:2: defaults.machine.boot.tries = "0": is not a number of tries; write a number from 1 to 9`},
	"hostile name":        {"[image.\"../a\"]\npull = \"a\"\n", `gitboot.toml:1: image.../a = "../a": is not a name`},
	"image cycle":         {"[image.a.build]\nfrom = \"image:b\"\n[image.b.build]\nfrom = \"image:a\"\n", `gitboot.toml:2: image.a.build.from = "a → b → a": goes round in a circle`},
	"profile cycle":       {"[profile.a]\nprofiles = [\"a\"]\n", `gitboot.toml:2: profile.a.profiles = "a → a": goes round in a circle`},
	"no parent":           {"[image.a.build]\nfrom = \"image:b\"\n", `gitboot.toml:2: image.a.build.from = "b": is no image of this repo`},
	"empty base":          {"[image.a.build]\nfrom = \"scratch\"\n", `gitboot.toml:2: image.a.build.from = "scratch": is a base with nothing in it`},
	"no base":             {"[image.a.build]\npush = \"a:b\"\n", `gitboot.toml:1: image.a.build: has no from`},
	"pushed as one":       {"[image.a.build]\nfrom = \"x\"\npush = \"r.lan/a:1\"\n[image.b.build]\nfrom = \"x\"\npush = \"r.lan/a:1\"\n", `gitboot.toml:6: image.b.build.push = "r.lan/a:1": is also where another image is published, at gitboot.toml:3; give each`},
	"pushed on its base":  {"[image.a.build]\nfrom = \"r.lan/a:1\"\npush = \"r.lan/a:1\"\n", `gitboot.toml:3: image.a.build.push = "r.lan/a:1": is also what the image is built from`},
	"compression":         {"[image.a.build]\nfrom = \"x\"\npush_compression = \"xz\"\n", `gitboot.toml:3: image.a.build.push_compression = "xz": is not a compression`},
	"too many deltas":     {"[image.a.build]\nfrom = \"x\"\npush = \"a:b\"\ndeltas = 11\n", `gitboot.toml:4: image.a.build.deltas = "11": is not a number of images`},
	"deltas of nothing":   {"[image.a.build]\nfrom = \"x\"\ndeltas = 3\n", `gitboot.toml:3: image.a.build.deltas = "3": is for images that are pushed`},
	"bad timeout":         {"[image.a.build]\nfrom = \"a\"\ntimeout = \"5 minutes\"\n", `gitboot.toml:3: image.a.build.timeout = "5 minutes": is not a duration`},
	"missing image":       {"[image.desktop]\npull = \"a\"\n[machine.m]\nimages = [\n\"desktop\",\n\"desktpo\"]\n", `gitboot.toml:6: machine.m.images[1] = "desktpo": is no image of this repo (did you mean "desktop"?)`},
	"missing profile":     {"[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\nprofiles = [\"x\"]\n", `gitboot.toml:5: machine.m.profiles[0] = "x": is no profile of this repo`},
	"missing hook":        {"[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\nhooks_append = [\"fstb\"]\n", `gitboot.toml:5: machine.m.hooks_append[0] = "fstb": is no hook of this repo (did you mean "fstab"?)`},
	"twice in a list":     {"[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\", \"a\"]\n", `gitboot.toml:4: machine.m.images[1] = "a": is listed twice`},
	"no images":           {"[machine.m]\n", `gitboot.toml:1: machine.m: has no images`},
	"signed by nobody":    {"[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\n[machine.m.boot]\nloader = \"systemd-boot\"\nsecure_boot = true\nsigned_by = \"n\"\n", `gitboot.toml:8: machine.m.boot.signed_by = "n": is no machine of this repo`},
	"signed by itself":    {"[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\n[machine.m.boot]\nloader = \"systemd-boot\"\nsecure_boot = true\nsigned_by = \"m\"\n", `gitboot.toml:8: machine.m.boot.signed_by = "m": signs what it boots itself`},
	"builds a pulled":     {"[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\nbuilds = [\"a\"]\n", `gitboot.toml:5: machine.m.builds[0] = "a": is not an image that is built`},
	"shared machine id":   {"[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\nmachine_id = \"0123456789abcdef0123456789abcdef\"\n[machine.n]\nimages = [\"a\"]\nmachine_id = \"0123456789abcdef0123456789abcdef\"\n", `gitboot.toml:8: machine.n.machine_id = "0123456789abcdef0123456789abcdef": is also the id of another machine, at gitboot.toml:5`},
	"boot mode":           {"[profile.p.boot]\nmode = \"manged\"\n", `gitboot.toml:2: profile.p.boot.mode = "manged": is not a boot mode (did you mean "managed"?)`},
	"idle hook":           {"[hook.h]\norder = 1\n", `gitboot.toml:1: hook.h: does nothing`},
	"bad hook glob":       {"[hook.h]\nimages = [\"[a\"]\n[hook.h.fstab]\n", `gitboot.toml:2: hook.h.images[0] = "[a": is not a valid glob`},
	"hook for no image":   {"[hook.h]\nimages = [\"x:1\"]\n[hook.h.fstab]\n", `gitboot.toml:2: hook.h.images[0] = "x": is no image of this repo`},
	"bad mode":            {"[[hook.h.file]]\npath = \"/a\"\ncontent = \"\"\nmode = \"0888\"\n", `gitboot.toml:4: hook.h.file[0].mode = "0888": is not a mode in octal`},
	"bad owner":           {"[[hook.h.file]]\npath = \"/a\"\ncontent = \"\"\nowner = \"root\"\n", `gitboot.toml:4: hook.h.file[0].owner = "root": is not a numeric owner`},
	"dotted path":         {"[[hook.h.file]]\npath = \"/a/../../b\"\ncontent = \"\"\n", `gitboot.toml:2: hook.h.file[0].path = "/a/../../b": is not a clean path; that would be "/b"`},
	"source outside":      {"[[hook.h.file]]\npath = \"/a\"\nsource = \"../b\"\n", `gitboot.toml:3: hook.h.file[0].source = "../b": leaves the repo`},
	"source beside":       {"include = [\"h/hook.toml\"]\n-- h/hook.toml --\n[[hook.h.file]]\npath = \"/a\"\nsource = \"b\"\n-- h/b --\n", `h/hook.toml:3: hook.h.file[0].source = "b": is not in the repo; paths begin at the repo's root: write "h/b"`},
	"source a folder":     {"[[hook.h.file]]\npath = \"/a\"\nsource = \"d\"\n-- d/x --\n", `gitboot.toml:3: hook.h.file[0].source = "d": is a folder; name a file`},
	"bad template":        {"[[hook.h.file]]\npath = \"/a\"\ntemplate = \"{{ .Vars\"\n", `gitboot.toml:3: hook.h.file[0].template = "{{ .Vars": is not a valid template`},
	"bad template file":   {"[[hook.h.file]]\npath = \"/a\"\ntemplate_source = \"t\"\n-- t --\n{{ end }}\n", `gitboot.toml:3: hook.h.file[0].template_source = "t": is not a valid template`},
	"unreachable file":    {"[[hook.h.file]]\npath = \"/a\"\ncontent = \"\"\n[[hook.h.file]]\npath = \"/a\"\ncontent = \"\"\n", `gitboot.toml:4: hook.h.file[1] = "/a": is never written, since the one at gitboot.toml:1 is for every image`},
	"no interpreter":      {"[[hook.h.run]]\ncontent = \"true\"\n", `gitboot.toml:2: hook.h.run[0].content = "true": doesn't say what runs it`},
	"limit at boot":       {"[[hook.h.at_boot]]\ncontent = \"#!/bin/sh\"\ntimeout = \"1m\"\n", `gitboot.toml:3: hook.h.at_boot[0].timeout: is not a known key`},
	"no script":           {"[[hook.h.run]]\nname = \"x\"\n", `gitboot.toml:1: hook.h.run[0]: has neither content, source, template nor template_source`},
	"our variable":        {"[[hook.h.run]]\ncontent = \"#!/bin/sh\"\nenv = { GITBOOT_OUT = \"/\" }\n", `gitboot.toml:3: hook.h.run[0].env.GITBOOT_OUT = "GITBOOT_OUT": is a name that gitboot keeps`},
	"two built-ins":       {"[hook.h.fstab]\n[hook.h.hostname]\n", `gitboot.toml:1: hook.h: has more than one built-in hook`},
	"private key":         {"[[hook.h.authorized-keys.user]]\nuser = \"root\"\nkeys = [\"-----BEGIN PRIVATE KEY-----\"]\n", `gitboot.toml:3: hook.h.authorized-keys.user[0].keys[0]: is a private key`},
	"no owner":            {"[[hook.h.authorized-keys.user]]\nuser = \"ada\"\nkeys = []\n", `gitboot.toml:1: hook.h.authorized-keys.user[0] = "ada": has no keys`},
	"name server":         {"[hook.h.resolv-conf]\nnameservers = [\"1.2.3\"]\n", `gitboot.toml:2: hook.h.resolv-conf.nameservers[0] = "1.2.3": is not an address`},
	"deep nesting":        {"a = " + strings.Repeat("[", 100000), `gitboot.toml:1: nests more than 32 deep`},
	"long path":           {"a = " + strings.Repeat("{"+strings.Repeat("a", 200)+" = ", 5) + "1" + strings.Repeat("}", 5), `gitboot.toml:1: has a key of more than 512 bytes, with the tables that it is in`},
	"deep key":            {strings.Repeat("a.", 100000) + "a = 1", `gitboot.toml:1: nests more than 32 deep`},
}

func TestMistakes(t *testing.T)     { testMistakes(t, mistakes) }
func TestHookMistakes(t *testing.T) { testMistakes(t, hookMistakes) }

func testMistakes(t *testing.T, mistakes map[string]struct{ text, want string }) {
	for name, m := range mistakes {
		t.Run(name, func(t *testing.T) {
			_, err := Load(t.Context(), repo(m.text))
			var ps Problems
			if !errors.As(err, &ps) {
				t.Fatalf("got %v", err)
			}
			for _, p := range ps {
				if strings.HasPrefix(p.String(), m.want) {
					return
				}
			}
			t.Errorf("got\n%v\nnot\n%s", ps, m.want)
		})
	}
}

// What only the merged arguments of a machine show is found when it is
// resolved, and said of the machine that it is true of.
func TestLongCommandLine(t *testing.T) {
	many := func(n int) string { return strings.Repeat("'"+strings.Repeat("x", 97)+"', ", n) }
	f, err := Load(t.Context(), repo("[image.a]\npull = \"a\"\nkernel_args = ["+many(8)+"]\n"+
		"[machine.few]\nimages = [\"a\"]\n"+
		"[machine.many]\nimages = [\"a\"]\nkernel_args_append = ["+many(8)+"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Resolve(t.Context(), "few"); err != nil {
		t.Error(err)
	}
	const want = `gitboot.toml:7: machine.many.images = "a": its kernel arguments on machine many make 1600 bytes, and `
	if _, err := f.Resolve(t.Context(), "many"); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := Load(t.Context(), repo(`include = ["*.toml"]
[image.a]
pul = "a"
keep = 0
-- a.toml --
x =
-- b.toml --
[machine.m]
images = ["zzz"]
keep = "many"
-- c.toml --
[machine.n]
[machine.n]
`))
	const want = `a.toml:1: x: is not valid TOML: expected value but found '\n' instead; see https://toml.io
b.toml:3: machine.m.keep = "many": is a string, not an integer; write an integer without quotes
c.toml:2: machine.n: is declared twice, first at c.toml:1; remove one, or merge them
gitboot.toml:2: image.a: has neither pull, archive nor build; give one of them
gitboot.toml:3: image.a.pul: is not a known key (did you mean "pull"?)`
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got\n%v", err)
	}
}
