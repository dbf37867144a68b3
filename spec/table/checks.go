package table

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/hooks/check"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/internal/nearest"
	"github.com/gitboot/gitboot/secret"
	"github.com/gitboot/gitboot/spec/find"
)

// A Check is what one kind of text or number must be. Pattern and enum go
// into the JSON Schema as they are; parse finds what a pattern cannot say.
type Check struct {
	Want     string // completes "is not …"
	Remedy   string
	pattern  *pattern
	Enum     []string
	Min, Max int  // of integers; both 0 = none
	longest  int  // of texts, in bytes; 0 = as long as they are
	secret   bool // a wrong value may be a secret, and is not shown
	// parse returns what is wrong, or "".
	parse func(string) string
}

// A pattern is compiled when it is first needed: a run needs few of them, and
// compiling all took a tenth of one that finds nothing to do.
type pattern struct {
	text     string
	compiled func() *regexp.Regexp
}

func (p *pattern) MatchString(s string) bool { return p.compiled().MatchString(s) }
func (p *pattern) String() string            { return p.text }

func matching(want, text, remedy string) Check {
	p := &pattern{text, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })}
	return Check{Want: want, pattern: p, Remedy: remedy}
}

func oneOf(want string, values ...string) Check {
	return Check{Want: want, Enum: values, Remedy: "write one of " + strings.Join(values, ", ")}
}

func (c Check) with(parse func(string) string) Check {
	c.parse = parse
	return c
}

func (c Check) upTo(longest int) Check {
	c.longest = longest
	return c
}

func (c Check) hidden() Check {
	c.secret = true
	return c
}

// Text returns what is wrong with a string, and the remedy.
func (c Check) Text(s string) (message, hint string) {
	switch {
	case c.Enum != nil && !slices.Contains(c.Enum, s):
		return "is not " + c.Want + nearest.Hint(s, c.Enum), c.Remedy
	case c.pattern != nil && !c.pattern.MatchString(s):
		return "is not " + c.Want, c.Remedy
	case c.longest != 0 && len(s) > c.longest:
		return fmt.Sprintf("is longer than %d characters", c.longest), c.Remedy
	case c.parse != nil:
		if wrong := c.parse(s); wrong != "" {
			return wrong, c.Remedy
		}
	}
	return "", ""
}

// Right reports whether there is nothing wrong with a string.
func (c Check) Right(s string) bool {
	message, _ := c.Text(s)
	return message == ""
}

// Matches reports whether a text has the form, whatever else it must be.
func (c Check) Matches(s string) bool { return c.pattern.MatchString(s) }

// Of is the check of a value that is: such a thing.
func Of(is string) Check { return checks[is] }

// number returns what is wrong with an integer, and the remedy.
func (c Check) number(n int64) (message, hint string) {
	if c.Max != 0 && (n < int64(c.Min) || n > int64(c.Max)) {
		return "is not " + c.Want, fmt.Sprintf("write a number from %d to %d", c.Min, c.Max)
	}
	return "", ""
}

// Parts of patterns. Control characters are kept out everywhere: values reach
// boot menus, kernel command lines and configuration files line by line.
const (
	visible = `[^\x00-\x20\x7f]`
	onLine  = `[^\x00-\x1f\x7f]`
	domain  = `(?:localhost(?::[0-9]{1,5})?|[A-Za-z0-9][A-Za-z0-9-]*(?:(?:\.[A-Za-z0-9-]+)+(?::[0-9]{1,5})?|:[0-9]{1,5}))`
	repoSeg = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
	tag     = `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
	digest  = `@sha256:[0-9a-f]{64}`
	among   = `[0-9A-Za-z.+-]*[~^*<>=!|][0-9A-Za-z.~^*<>=!|,+-]{0,127}`
	refHead = `^(?:` + domain + `/)?` + repoSeg + `(?:/` + repoSeg + `)*`
)

// What a base (from = …) can be, apart from other things.
var (
	nameCheck = matching("a name", `^[A-Za-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*$`,
		"use up to 64 letters, digits, - and _, and dots between them; it becomes part of file names and menus").upTo(64)
	refCheck     = matching("an image reference", refHead+`(?:(?::`+tag+`)?(?:`+digest+`)?|:`+among+`)$`, "write registry/repository:tag, in lower case").with(badRef).upTo(512)
	archiveCheck = matching("an archive's path or URL", `^`+visible+onLine+`*$`, "write a path in the repo, an absolute path, or an https:// URL with sha256").with(BadArchive).upTo(2048)
)

// checks is never written to.
var checks = map[string]Check{
	"name":            nameCheck,
	"include":         matching("a path in the repo", `^[^/\x00-\x1f\x7f\\]`+onLine+`*$`, "write a glob from the repo's root, such as machines/*.toml").with(badInclude).upTo(256),
	"kernel-arg":      matching("one kernel argument", `^`+onLine+`+$`, "write one argument an element, with double quotes around white space").with(badKernelArg),
	"kernel-glob":     matching("a glob over a kernel's path or version", `^`+visible+`+$`, `write for example "6.1.*" or "/boot/vmlinuz-*-cloud-amd64"`).with(badGlob).upTo(256),
	"image-glob":      matching("a glob over image:tag", `^`+visible+`+$`, `write for example "*", "desktop" or "router:stable*"`).with(badGlob).upTo(256),
	"keep":            {Want: "a number of generations", Min: 1, Max: 1000},
	"strip":           {Want: "a number of folders", Min: 0, Max: 8},
	"deltas":          {Want: "a number of images", Min: 0, Max: 10},
	"fs-dump":         {Want: "a number that fstab(5) has there", Min: 0, Max: 1},
	"mtu":             {Want: "a size of packets", Min: 576, Max: 65535},
	"backend":         oneOf("a known one", kind.Backends()...),
	"user-id":         {Want: "a number that users have", Min: 1, Max: 60000},
	"password":        matching("the hash of a password", `^\$`+visible+`+$`, `write what "mkpasswd" or "openssl passwd -6" prints`).with(kind.WrongPasswordHash).hidden(),
	"fs-pass":         {Want: "a number that fstab(5) has there", Min: 0, Max: 2},
	"health-after":    oneOf("a time to begin", "default", "start"),
	"confirm":         oneOf("a way to confirm", "outside"),
	"seconds":         matching("a length of time", `^(?:[0-9]{1,6}[hms])+$`, "write for example 90s, 5m or 1h30m, up to a day").with(badSeconds),
	"host":            matching("a host", `^`+visible+`+$`, "write an address or a name, with :PORT for a connection, such as 192.0.2.1, gw.lan:22 or [2001:db8::1]:443").with(badHost),
	"unit":            matching("a service's name", `^`+visible+`+$`, "write its name, such as ssh.service").with(badUnit),
	"command":         matching("a command", `^`+onLine+`+$`, `write a program and its arguments, such as "test -e /srv/data"`).with(badCommand),
	"http-url":        matching("a URL", `^`+visible+`+$`, "write http://HOST[:PORT]/PATH").with(badHTTP),
	"tries":           {Want: "a number of tries", Min: 1, Max: 9},
	"menu-timeout":    {Want: "a number of seconds that a menu waits", Min: -1, Max: 3600},
	"tmpfs-size":      matching("a size", `^(?:[1-9][0-9]{0,14}[kKmMgG]?|[1-9][0-9]?%|100%)$`, "write for example 2G, 512M or 50%"),
	"upper":           oneOf("a place for what is written", "tmpfs", "disk", "persistent"),
	"root-device":     matching("a file system", `^(?:UUID|LABEL|PARTUUID)=[^\x00-\x20\x7f"\\:/]+$`, "write UUID=…, LABEL=… or PARTUUID=…, as blkid prints it").upTo(80),
	"unlock-way":      oneOf("a way to open an encrypted disk", deployment.UnlockTPM2, deployment.UnlockKeyFile, deployment.UnlockPassphrase),
	"disk-file":       matching("a file on a disk", `^(?:UUID|LABEL|PARTUUID)=[^\x00-\x20\x7f"\\:/,]+:(?:/[A-Za-z0-9_@.+-]+)+$`, "write UUID=…:/path, LABEL=…:/path or PARTUUID=…:/path").with(badPlace).upTo(200),
	"folder":          matching("a folder", `^(?:/[A-Za-z0-9_@.+-]+)+$`, "write an absolute path of letters, digits and _ @ . + -").with(badFolder).upTo(128),
	"size":            matching("a size", `^[1-9][0-9]{0,5}[MGT]B$`, "write for example 30GB, in thousands"),
	"verity":          oneOf("a way to verify layers", "off", "report", "enforce"),
	"objects":         oneOf("a use of objects", "use", "make", "rebuild"),
	"image-test":      oneOf("a test of images", "boot"),
	"relayering":      oneOf("a way of making layers", "packages"),
	"on-bad":          oneOf("what can be done about what is bad", "revert"),
	"boot-test":       oneOf("a boot test", "on", "off"),
	"test-network":    oneOf("a network of a virtual machine", "none", "isolated", "outside"),
	"memory":          matching("a size of memory", `^[1-9][0-9]{0,5}[MGT]B$`, "write for example 2GB, in thousands; a machine takes 64MB at least").with(badMemory),
	"device":          matching("a device", `^/dev/`+visible+`+$`, "write its path, such as /dev/disk/by-id/nvme-…, /dev/vda").with(uncleanPath).upTo(256),
	"serial":          matching("a glob over serial numbers", `^`+onLine+`+$`, "write what `lsblk -o NAME,SERIAL` prints, with * where it may be anything").with(badGlob).upTo(128),
	"disk-size":       matching("a bound on a disk's size", `^(?:[<>]=?|=)[1-9][0-9]{0,5}[MGT]B$`, "write for example >=200GB, <1TB or =500GB, in thousands"),
	"arch":            oneOf("an architecture", layout.Architectures()...),
	"disk-table":      oneOf("a partition table", "gpt"),
	"disk-role":       oneOf("what a partition is for", layout.Roles()...),
	"disk-filesystem": oneOf("a file system that can be made", layout.Filesystems()...),
	"disk-label":      matching("a label", `^[A-Za-z0-9][A-Za-z0-9_.-]*$`, "use letters, digits, -, _ and dots").upTo(16),
	"share":           matching("a share", `^(?:[1-9][0-9]?|100)%$`, "write for example 50%"),
	"boot-loader":     oneOf("a boot loader", "grub", "systemd-boot", "extlinux", "rpi"),
	"boot-mode":       oneOf("a boot mode", "menu", "managed"),
	"machine-id":      matching("a machine id", `^[0-9a-f]{32}$`, "write 32 lower case hex digits, as in /etc/machine-id").with(kind.WrongMachineID),
	"mirror":          matching("a registry", `^`+domain+`(?:/`+repoSeg+`)*$`, "write host[:port][/prefix] without https://").with(badMirror).upTo(255),
	"hook-path":       matching("an absolute path", `^/`+onLine+`*$`, "write a clean path from /, without .. in it").with(check.WrongPath),
	"absolute-path": matching("an absolute path", `^/`+onLine+`*$`, "write a clean path from /, without .. in it").
		with(uncleanPath).upTo(1024),
	"repo-path": matching("a path in the repo", `^[^/\x00-\x1f\x7f\\]`+onLine+`*$`,
		"write a path from the repo's root, with nothing before it").with(find.LeavesRepo),
	"link":        matching("a link's target", `^`+onLine+`+$`, "write the path that the link points to").with(check.WrongTarget),
	"platform":    matching("a platform", `^[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?$`, "write os/architecture[/variant], such as linux/arm64"),
	"cron":        matching("a schedule", `^`+onLine+`+$`, `write five cron fields such as "0 3 * * *", @daily, or "@every 6h"; times are the machine's, or of a zone: "CRON_TZ=Europe/Berlin 0 3 * * *"`).with(badCron),
	"time-zone":   matching("a time zone", `^[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*$`, "write its name in the IANA database, such as Europe/Berlin or UTC").with(badZone),
	"image-ref":   refCheck,
	"tagged-ref":  matching("an image reference with a tag", refHead+`:`+tag+`$`, "write registry/repository:tag, without a digest").with(badRef).upTo(512),
	"repository":  matching("a repository", refHead+`$`, "write registry/repository, without a tag").with(badRef).upTo(512),
	"key-file":    matching("a path of public keys", `^`+visible+onLine+`*$`, "write a path in the repo, such as keys/release.pub, an absolute path, or none").with(badKeyFile).upTo(1024),
	"archive":     archiveCheck,
	"sha256":      matching("a sha256", `^[0-9a-f]{64}$`, "write 64 lower case hex digits, as sha256sum prints them"),
	"from":        matching("a base", `^`+visible+onLine+`*$`, `write "image:NAME", a registry reference, "archive:PATH" or "scratch"`).with(badFrom),
	"compression": oneOf("a compression", "zstd", "gzip"),
	"engine":      oneOf("an engine", "buildah", "buildkit", "docker", "podman"),
	"approve":     oneOf("a way to approve", "manual"),
	"git-tag":     matching("a pattern of tags' names", `^[^/\x00-\x20\x7f~^:\\]`+visible+`*$`, `write for example "approved/*", without refs/tags/`).with(badTag).upTo(200),
	"span":        matching("a length of time", `^(?:[0-9]+[wdhms])+$`, "write for example 90m, 12h, 3d or 1w").with(badSpan),
	"duration":    matching("a duration", `^[0-9.]+(?:ms|s|m|h)(?:[0-9.]+(?:ms|s|m|h))*$`, "write for example 90s, 5m or 1h30m").with(badDuration),
	"build-arg":   matching("an argument's name", `^[A-Za-z_][A-Za-z0-9_]*$`, "use letters, digits and _"),
	"env":         matching("a variable's name", `^[A-Za-z_][A-Za-z0-9_]*$`, "use letters, digits and _").with(ourVariable),
	"label":       matching("a label", `^`+visible+`+$`, "use a name without white space"),
	"line":        matching("a line of text", `^`+onLine+`+$`, "write it without newlines"),
	"text":        matching("text", `^[^\x00]*$`, "write it without NUL"),
	"word":        matching("one word", `^`+visible+`+$`, "write one word an element"),
	"template":    matching("text", `^[^\x00]*$`, "see text/template in Go's documentation").with(BadTemplate),
	"mode":        matching("a mode in octal", `^0?[0-7]{3,4}$`, `write it in quotes, such as "0644"`),
	"owner":       matching("a numeric owner", `^[0-9]{1,9}:[0-9]{1,9}$`, `write "uid:gid", such as "0:0"; the image's users are not known here`),
	"key-type":    oneOf("a kind of key", "ed25519", "rsa", "ecdsa"),
	"user":        matching("a user's name", `^[a-z_][a-z0-9_-]{0,31}$`, "use the login name"),
	"public-key":  matching("a public key", `^`+onLine+`+$`, "write one line as in a .pub file: type, key, comment").with(check.WrongKey).hidden(),
	"login-key":   matching("a public key", `^`+onLine+`+$`, "write one line as in a .pub file: type, key, comment").with(check.WrongLoginKey).hidden(),
	"address":     matching("an address with its prefix", `^[0-9A-Fa-f:.]+/[0-9]{1,3}$`, "write for example 192.0.2.10/24").with(kind.WrongPrefix),
	"interface":   matching("an interface's name", `^`+visible+`+$`, "write up to 15 letters, digits, _, - and .").with(kind.WrongInterface),
	"recipient": matching("a public key", `^`+onLine+`+$`, "write an age recipient (age1…) or what is in an ssh .pub file of type ed25519 or rsa; `gitboot secret key` prints a machine's").
		with(secret.WrongRecipient).hidden(),
	"machine-glob": matching("a glob over machines' names", `^`+visible+`+$`, `write for example "*", "laptop" or "kiosk-*"`).with(badGlob).upTo(256),
	"ip":           matching("an address", `^[0-9A-Fa-f:.]+(?:%`+visible+`+)?$`, "write an IPv4 or IPv6 address").with(kind.WrongAddress),
}
