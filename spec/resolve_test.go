package spec

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/spec/bounds"
)

const merging = `
[defaults.machine]
kernel_args = ["lowest"]
hooks       = ["hostname"]
keep        = 9
tmpfs_size  = "10%"
vars        = { a = 1, net = { dns = "d", dom = "x" } }
[defaults.image]
keep    = 8
mirrors = ["m.lan:5000"]
[image.plain]
pull = "r.lan/plain"
[image.own]
pull        = "r.lan/own:1"
mirrors     = []
kernel_args = ["own"]
keep        = 7
[profile.base]
hooks_append       = ["fstab"]
kernel_args_append = ["base"]
[profile.top]
profiles = ["base"]
hooks_append = ["fstab", "machine-id"]
vars     = { net = { dns = "e" } }
[machine.m]
profiles           = ["base", "top"]
images             = ["plain", "own"]
kernel_args_append = ["m"]
vars               = { b = "{{x" }
[machine.replaces]
profiles           = ["top"]
images             = ["own"]
hooks              = []
kernel_args        = []
kernel_args_append = ["only"]
keep               = 1
[machine.replaces.boot]
timeout = 0
`

// How encrypted disks are opened is told the kernel, of each image and of the recovery
// entry.
func TestUnlockIsAnArgument(t *testing.T) {
	f, err := Load(t.Context(), repo(`[image.a]
pull = "a"
kernel_args = ["quiet"]
[profile.p]
unlock.timeout = "90s"
[machine.m]
images = ["a"]
profiles = ["p"]
[machine.m.unlock]
ways = ["tpm2", "keyfile"]
keyfile = "LABEL=stick:/k"
[machine.m.recovery]
`))
	if err != nil {
		t.Fatal(err)
	}
	w, err := f.Resolve(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	const arg = "gitboot.unlock=tpm2,keyfile:LABEL=stick:/k,timeout:90"
	if got := w.Images[0].KernelArgs; !slices.Equal(got, []string{"quiet", arg}) || !slices.Equal(w.Recovery.Console, []string{arg}) {
		t.Errorf("%q, %q", got, w.Recovery.Console)
	}
}

func TestMerge(t *testing.T) {
	w := mustResolve(t, merging, "m")
	plain, own := w.Images[0], w.Images[1]
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"arguments over defaults", plain.KernelArgs, []string{"lowest", "base", "m"}},
		{"arguments over an image's", own.KernelArgs, []string{"own", "base", "m"}},
		{"keep of defaults.image", plain.Keep, 8},
		{"keep of the image", own.Keep, 7},
		{"size of defaults.machine", own.TmpfsSize, "10%"},
		{"mirrors of defaults", plain.Pull.Mirrors, []string{"m.lan:5000"}},
		{"no mirrors", own.Pull.Mirrors, []string{}},
		{"tag", plain.Tag + own.Tag, "latest1"},
		{"mode", w.Boot, Boot{Mode: "menu", Tries: 3}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
	var names []string
	for _, h := range plain.Hooks {
		names = append(names, h.Name)
	}
	if !slices.Equal(names, []string{"hostname", "fstab", "machine-id"}) {
		t.Errorf("hooks are %q", names)
	}
	r := mustResolve(t, merging, "replaces")
	if got := r.Images[0]; len(got.Hooks) > 0 || !slices.Equal(got.KernelArgs, []string{"only"}) || got.Keep != 1 {
		t.Errorf("got %+v", got)
	}
	if r.Boot.Timeout == nil || *r.Boot.Timeout != 0 {
		t.Errorf("timeout is %v", r.Boot.Timeout)
	}
}

// What is said of health in several places is one table, key by key, and what it
// cannot be altogether is refused for each machine.
func TestHealth(t *testing.T) {
	const declared = `[image.a]
pull = "a"
[image.a.health]
settle = "0s"
required.units = ["a.service"]
[image.b]
pull = "b"
[profile.p.health]
confirm = "outside"
deadline = "90s"
required = { hosts = ["gw.lan:22"], commands = ["test -e \"/a b\""] }
[machine.m]
images = ["a", "b"]
profiles = ["p"]
health = { watchdog = false, confirm_within = "1h30m", wanted = { units = ["cups"] } }
[machine.plain]
images = ["b"]
`
	w := mustResolve(t, declared, "m")
	required := &deployment.Checks{Hosts: []string{"gw.lan:22"}, Units: []string{"a.service"}, Commands: [][]string{{"test", "-e", "/a b"}}}
	want := &deployment.Health{After: "default", Settle: 0, Deadline: 90, Required: required, Wanted: &deployment.Checks{Units: []string{"cups"}},
		Confirm: "outside", ConfirmWithin: 5400, NoWatchdog: true}
	if diff := cmp.Diff(want, w.Images[0].Health); diff != "" {
		t.Error(diff)
	}
	if h := w.Images[1].Health; h.Settle != 10 || h.Required.Units != nil {
		t.Errorf("the other image has %+v", h)
	}
	if h := mustResolve(t, declared, "plain").Images[0].Health; h != nil {
		t.Errorf("without a table there is %+v", h)
	}
	f, err := Load(t.Context(), repo(strings.Replace(declared, `confirm = "outside"`, `confirm = "outside"`+"\nsettle = \"90s\"", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err = f.Check(t.Context(), f.Machines()); err == nil || !strings.Contains(err.Error(), `machine.m.images = "b": its health on machine m cannot be: settling takes 90 s`) {
		t.Errorf("what cannot be: %v", err)
	}
}

// A machine says which virtual machine it means, or none, whatever its profile says.
func TestBootTest(t *testing.T) {
	const declared = `[image.a]
pull = "a"
[profile.p]
boot_test = "on"
[machine.plain]
images = ["a"]
[machine.on]
images = ["a"]
profiles = ["p"]
[machine.off]
images = ["a"]
profiles = ["p"]
boot_test = "off"
[machine.own]
images = ["a"]
profiles = ["p"]
boot_test = { network = "outside", memory = "4GB" }
`
	for machine, want := range map[string]*BootTest{
		"plain": nil, "off": nil, "on": {Network: "none"}, "own": {Network: "outside", Memory: 4e9},
	} {
		if diff := cmp.Diff(want, mustResolve(t, declared, machine).BootTest); diff != "" {
			t.Errorf("%s: %s", machine, diff)
		}
	}
	f, err := Load(t.Context(), repo(declared))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.BootTests(f.Machines()); !slices.Equal(got, []string{"on", "own"}) {
		t.Errorf("machines that test: %q", got)
	}
}

func TestMergeVars(t *testing.T) {
	f, err := Load(t.Context(), repo(merging))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": int64(1), "b": "{{x", "net": map[string]any{"dns": "e", "dom": "x"}}
	for range 2 { // resolving changes nothing in the fleet
		if diff := cmp.Diff(want, f.resolver(&bounds.Meter{Ctx: t.Context(), Left: bounds.MaxWork, Enough: bounds.ErrWork}, "m", f.machines["m"]).merged.Vars); diff != "" {
			t.Error(diff)
		}
	}
}

const hooked = `
[image.desktop]
pull = "r.lan:5000/fam/desktop:stable@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
[image.router]
archive = "/r.tar"
[machine.m]
images = ["desktop", "router"]
hooks  = ["late", "early", "files"]
vars   = { name = "n" }
[hook.late]
order   = 5
exclude = ["router"]
[hook.late.ssh-host-keys]
[hook.early]
images = ["*p:st*"]
order  = -1
[hook.early.hostname]
name = "{{ .Vars.name }}-{{ .Image.Name }}"
[[hook.files.file]]
path    = "/a"
images  = ["router:latest"]
content = "r"
[[hook.files.file]]
path   = "/a"
source = "x.sh"
owner  = "1:2"
[[hook.files.file]]
path    = "/s"
content = ""
mode    = "4755"
[[hook.files.run]]
source  = "x.sh"
timeout = "1h30m"
env     = { N = "{{ .Machine.Name }}" }
-- x.sh --
#!/bin/sh
`

func TestHooks(t *testing.T) {
	fsys := repo(hooked)
	fsys["x.sh"].Mode = 0o755
	f, err := Load(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	w, err := f.Resolve(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	script := []byte("#!/bin/sh\n")
	files := kind.Hook{
		Name: "files",
		Files: []kind.File{
			{Path: "/a", Mode: 0o755, UID: 1, GID: 2, Content: script},
			{Path: "/s", Mode: fs.ModeSetuid | 0o755, Content: []byte{}},
		},
		Run: []kind.Script{{Name: "x.sh", Content: script, Timeout: 90 * time.Minute, Env: map[string]string{"N": "m"}}},
	}
	want := []kind.Hook{
		{Name: "early", Builtin: &kind.Builtin{Hostname: &kind.Hostname{Name: "n-desktop"}}},
		files,
		{Name: "late", Builtin: &kind.Builtin{SSHHostKeys: &kind.SSHHostKeys{Types: []string{"ed25519", "rsa"}}}},
	}
	if diff := cmp.Diff(want, w.Images[0].Hooks); diff != "" {
		t.Error(diff)
	}
	files.Files = slices.Clone(files.Files)
	files.Files[0] = kind.File{Path: "/a", Mode: 0o644, Content: []byte("r")}
	if diff := cmp.Diff([]kind.Hook{files}, w.Images[1].Hooks); diff != "" {
		t.Error(diff)
	}
}

func TestBuildOrPull(t *testing.T) {
	const text = `
[image.base.build]
from = "debian:12"
push = "r.lan/base:n"
[image.top.build]
from = "image:base"
timeout = "1m"
[image.spare.build]
from = "archive:/x.tar"
[machine.builder]
images = ["top"]
builds = ["base", "spare"]
[machine.other]
images = ["top", "base"]
`
	b := mustResolve(t, text, "builder")
	if base := b.Images[0].Build.Base; base.Build == nil || base.Build.FromRef != "debian:12" || !base.Build.RootfsFixes {
		t.Errorf("builder's base is %+v", base)
	}
	if len(b.Builds) != 2 || b.Builds[1].Build.FromArchive.Path != "/x.tar" {
		t.Errorf("builder builds %+v", b.Builds)
	}
	o := mustResolve(t, text, "other")
	if base := o.Images[0].Build.Base; base.Build != nil || base.Pull.Ref != "r.lan/base:n" || o.Images[1].Tag != "n" {
		t.Errorf("other's base is %+v", base)
	}
}

func TestBuildRegistries(t *testing.T) {
	const text = `
[defaults.image]
mirrors = ["m.lan:5000"]
credentials_file = "/d.json"
[image.a]
insecure = true
[image.a.build]
from = "debian:12"
push = "r.lan/a:n"
[image.b]
credentials_file = "/read.json"
[image.b.build]
from = "debian:12"
mirrors = []
trust_mirror_tags = true
insecure = true
credentials_file = "/write.json"
push = "r.lan/b:n"
push_compression = "gzip"
[machine.m]
images = ["a", "b"]
builds = ["a", "b"]
[machine.other]
images = ["b"]
`
	w := mustResolve(t, text, "m")
	a, b := w.Images[0].Build, w.Images[1].Build
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"defaults of a base", a.Pulled, Pull{Mirrors: []string{"m.lan:5000"}, CredentialsFile: "/d.json"}},
		{"a's push", a.Push, &Push{Ref: "r.lan/a:n", Insecure: true, CredentialsFile: "/d.json", Compression: "zstd"}},
		{"own of a base", b.Pulled, Pull{Mirrors: []string{}, TrustMirrorTags: true, Insecure: true, CredentialsFile: "/write.json"}},
		{"b's push", b.Push, &Push{Ref: "r.lan/b:n", CredentialsFile: "/write.json", Compression: "gzip"}},
		{"whose tags b takes", mustResolve(t, text, "other").Images[0].Pull.TrustMirrorTags, false},
		{"b pulled", mustResolve(t, text, "other").Images[0].Pull.CredentialsFile, "/read.json"},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", c.what, diff)
		}
	}
}

// Mistakes that only a machine's own values show.
func TestResolveProblems(t *testing.T) {
	for hook, want := range map[string]string{
		"[[hook.h.file]]\npath = \"/a\"\ntemplate = \"\"\"\n\n{{ .Vars.hostnam }}\"\"\"\n":                                    `gitboot.toml:9: hook.h.file[0].template = "\n{{ .Vars.hostnam }}": cannot be rendered for machine m, in its line 2: <.Vars.hostnam>: map has no entry for key "hostnam"; set hostnam in the machine's vars, or in a profile's (did you mean "hostname"?)`,
		"[[hook.h.file]]\npath = \"/a\"\ntemplate = \"{{ index .Vars \\\"x\\\" }}\"\n":                                        `cannot be rendered for machine m: it prints a variable that is not set; set it in`,
		"[[hook.h.file]]\npath = \"/a\"\ntemplate = \"{{ .Secret }}\"\n":                                                      `templates see .Machine.Name`,
		"[hook.h.hostname]\nname = \"{{ .Vars.bad }}\"\n":                                                                     `gitboot.toml:8: hook.h.hostname.name = "a b\n": is not a host name, for machine m`,
		"[hook.h.machine-id]\nvalue = \"{{ .Vars.bad }}\"\n":                                                                  `is not a machine id`,
		"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"{{ .Vars.bad }}\"\n":                                                `is not a line of text`,
		"[[hook.h.fstab.mount]]\ndevice = \"x\"\npath = \"{{ .Vars.hostname }}\"\n":                                           `is not an absolute path`,
		"[[hook.h.file]]\npath = \"/a\"\nlink = \"/x\"\n[[hook.h.file]]\npath = \"/a/b\"\ncontent = \"\"\n":                   `gitboot.toml:11: hook.h.file[1].path = "/a/b": needs /a to be a directory for /a/b and to be none, for machine m; change one of the paths`,
		"[[hook.h.file]]\npath = \"/a/b\"\ncontent = \"\"\n[[hook.h.file]]\npath = \"/a\"\ncontent = \"\"\n":                  `gitboot.toml:11: hook.h.file[1].path = "/a": needs /a to be a directory for /a/b and to be none`,
		"[[hook.h.file]]\npath = \"/usr/lib/gitboot/at-boot\"\ncontent = \"\"\n[[hook.h.at_boot]]\ncontent = \"#!/bin/sh\"\n": `needs /usr/lib/gitboot/at-boot to be a directory`,
		"[hook.h.fstab]\n[[hook.h.file]]\npath = \"/etc/fstab/x\"\ncontent = \"\"\n":                                          `needs /etc/fstab to be a directory`,
		"[[hook.h.fstab.mount]]\ndevice = \"{{ .Vars.empty }}\"\npath = \"/a\"\n":                                             `comes out empty`,
		"[[hook.h.run]]\nsource = \"x\"\n":                                                                                    `gitboot.toml:7: hook.h.run[0] = "x": doesn't say what runs it`,
		"[[hook.h.authorized-keys.user]]\nuser = \"root\"\nsources = [\"x\"]\n":                                               `has a line that is not a public key`,
	} {
		text := "[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\nhooks = [\"h\"]\nvars = { hostname = \"x\", empty = \"\", bad = \"a b\\n\" }\n" + hook + "-- x --\nnothing\n"
		f, err := Load(t.Context(), repo(text))
		if err != nil {
			t.Errorf("%s\nload: %v", hook, err)
			continue
		}
		_, err = f.Resolve(t.Context(), "m")
		var ps Problems
		if !errors.As(err, &ps) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", hook, err, want)
		}
	}
}

// A file can go between Load and Resolve only if the revision's tree does.
func TestVanishedSource(t *testing.T) {
	fsys := repo(hooked)
	f, err := Load(t.Context(), fsys)
	if err != nil {
		t.Fatal(err)
	}
	delete(fsys, "x.sh")
	if _, err := f.Resolve(t.Context(), "m"); err == nil || !strings.Contains(err.Error(), `"x.sh": cannot be read: file does not exist`) {
		t.Errorf("got %v", err)
	}
}

// openOnce notes which files are opened, by several goroutines.
type openOnce struct {
	fstest.MapFS
	opened *sync.Map
}

func (o openOnce) Open(name string) (fs.File, error) {
	o.opened.Store(name, true)
	return o.MapFS.Open(name)
}

func (o openOnce) ReadFile(name string) ([]byte, error) {
	o.opened.Store(name, true)
	return o.MapFS.ReadFile(name)
}

func TestResolveReadsNoConfig(t *testing.T) {
	o := openOnce{MapFS: big(100, 1), opened: &sync.Map{}}
	f, err := Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.opened.Clear()
	if _, err := f.Resolve(t.Context(), "m7"); err != nil {
		t.Fatal(err)
	}
	o.opened.Range(func(name, _ any) bool {
		t.Errorf("opened %v", name)
		return true
	})
}

// A profile's windows hold for a machine that says nothing, or says that there are
// none; they open in its time zone.
func TestWindows(t *testing.T) {
	const config = `
[image.a]
pull = "r.lan/a:1"
[profile.p]
windows        = [{ cron = "0 2 * * *", duration = "3h" }, { cron = "0 12 * * sat", duration = "30m", time_zone = "Asia/Kolkata" }]
reboot_windows = [{ cron = "0 4 * * sun", duration = "1h" }]
[machine.m]
profiles = ["p"]
images   = ["a"]
[machine.free]
profiles       = ["p"]
images         = ["a"]
windows        = []
reboot_windows = [{ cron = "@daily", duration = "1h" }]
`
	w := mustResolve(t, config, "m")
	if len(w.Windows) != 2 || len(w.Reboots) != 1 || w.Windows[0] != (Window{Cron: "0 2 * * *", Length: 3 * time.Hour}) {
		t.Errorf("%+v, %+v", w.Windows, w.Reboots)
	}
	free := mustResolve(t, config, "free")
	if len(free.Windows) != 0 || len(free.Reboots) != 1 || free.Reboots[0].Cron != "@daily" {
		t.Errorf("%+v, %+v", free.Windows, free.Reboots)
	}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 5, 2, 1, 59, 0, 0, tokyo)
	windows := Windows(w.Windows, "m", tokyo)
	late := windows.Next(now).Sub(now.Add(time.Minute))
	if _, open := windows.Open(now); open || late < 0 || late > 15*time.Minute {
		t.Errorf("before two in Tokyo: open is %t, next at %s", open, windows.Next(now))
	}
	if other := Windows(w.Windows, "another", tokyo).Next(now); other.Equal(windows.Next(now)) {
		t.Error("two machines have one time")
	}
	if _, open := windows.Open(time.Date(2026, 5, 2, 6, 45, 0, 0, time.UTC)); !open {
		t.Error("a quarter of an hour after noon in Kolkata none is open")
	}
}

// A disk that is made has the boot loader that is declared, if it has the partitions
// which that takes.
func TestLoaderOfADisk(t *testing.T) {
	const stage, boot = `{ role = "stage" }`, `{ role = "boot" }, `
	for _, c := range []struct{ machine, disk, wrong string }{
		{`boot = { loader = "grub" }`, ``, ""},
		{`boot = { loader = "systemd-boot" }`, ``, ""},
		{`boot = { loader = "systemd-boot" }`, `partitions = [{ role = "bios" }, ` + stage + `]`, `add { role = "esp" }`},
		{`boot = { loader = "systemd-boot" }`, `partitions = [{ role = "esp" }, ` + boot + stage + `]`, `a partition with the role "boot" is for GRUB's files`},
		{`boot = { loader = "grub" }`, `partitions = [{ role = "esp" }, ` + boot + stage + `]`, ""},
		{"arch = \"arm64\"\nboot = { loader = \"systemd-boot\" }", ``, ""},
		{"arch = \"arm64\"\nboot = { loader = \"extlinux\" }", ``, ""},
		{`boot = { loader = "extlinux" }`, `partitions = [{ role = "bios" }, ` + stage + `]`, `U-Boot reads from a partition that there is not; add { role = "esp" }`},
		{"arch = \"arm64\"\nboot = { loader = \"rpi\" }", ``, ""},
		{"arch = \"arm64\"\nboot = { loader = \"rpi\" }", `partitions = [` + stage + `]`, `a Raspberry Pi's firmware reads from a partition that there is not; add { role = "esp" }`},
	} {
		f, err := Load(t.Context(), repo("[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\n"+c.machine+"\n[machine.m.disk]\ndevice = \"/dev/vda\"\n"+c.disk+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if err = f.Check(t.Context(), []string{"m"}); c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s, %s: %v", c.machine, c.disk, err)
		}
	}
}

// What is done about what is bad is for a machine that tries what is new.
func TestOnBadWithoutTrial(t *testing.T) {
	const want = `boot.on_bad of machine m is for what has proved bad, and in mode "menu" nothing is tried; write mode = "managed" beside it, or leave it out`
	for _, mode := range []string{"menu", "managed"} {
		f, err := Load(t.Context(), repo("[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\nboot = { mode = \""+mode+"\", on_bad = \"revert\" }\n"))
		if err != nil {
			t.Fatal(err)
		}
		err = f.Check(t.Context(), []string{"m"})
		if (err == nil) != (mode == "managed") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// What the ways of opening an encrypted disk cannot be is told before a kernel is.
func TestUnlockIsChecked(t *testing.T) {
	for unlock, want := range map[string]string{
		`ways = ["tpm2", "tpm2"]`: "has tpm2 is there twice",
		`ways = ["keyfile"]`:      "has keyfile without the place of one",
		`keyfile = "UUID=1:/k"`:   "has the place of a key file, and no keyfile among the ways",
		`timeout = "48h"`:         "has a timeout of 172800 seconds",
		`ways = ["keyfile"]` + "\n" + `keyfile = "LABEL=a:/k"`: "",
	} {
		f, err := Load(t.Context(), repo("[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\n[machine.m.unlock]\n"+unlock+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Resolve(t.Context(), "m"); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", unlock, err)
		}
	}
}
