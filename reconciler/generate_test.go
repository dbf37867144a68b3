package reconciler

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/gitboot/gitboot/spec"
)

// A drawing is a config repo on its way. Each part below draws one kind of
// thing; whoever adds a kind of hook or a key adds it to a part, or a part to
// parts. Values come from pools: the first of a pool are plain, and odd ones are
// drawn only now and then, so that many repos are valid and those that are not
// have one fault.
type drawing struct {
	*rand.Rand
	files fstest.MapFS
	toml  strings.Builder
	// odd is how many odd values may still be drawn.
	odd                    int
	images, hooks, machine []string
}

var parts = []func(*drawing){
	(*drawing).pulled, (*drawing).built, (*drawing).hookOfFiles, (*drawing).hookOfPaths, (*drawing).hookOfScripts,
	(*drawing).fstab, (*drawing).keys, (*drawing).resolvConf, (*drawing).hostname,
}

// draw returns the config repo of a seed.
func draw(source *rand.Rand) fstest.MapFS {
	d := &drawing{Rand: source, files: fstest.MapFS{}, odd: source.IntN(3)}
	d.pulled()
	for range 1 + d.IntN(4) {
		parts[d.IntN(len(parts))](d)
	}
	d.machines()
	d.files[spec.RootFile] = &fstest.MapFile{Data: []byte(d.toml.String()), Mode: 0o644}
	return d.files
}

// from draws from a pool: one of the plain values, or an odd one.
func (d *drawing) from(plain []string, odd ...[]string) string {
	if all := slices.Concat(odd...); len(all) > 0 && d.odd > 0 && d.IntN(3) == 0 {
		d.odd--
		return all[d.IntN(len(all))]
	}
	return plain[d.IntN(len(plain))]
}

func (d *drawing) line(format string, args ...any) { fmt.Fprintf(&d.toml, format+"\n", args...) }

// set writes a key, one time in share.
func (d *drawing) set(share int, key string, plain []string, odd ...[]string) {
	if d.IntN(share) == 0 {
		d.line("%s = %s", key, text(d.from(plain, odd...)))
	}
}

// list writes a key with up to most values, none of them twice.
func (d *drawing) list(key string, most int, plain []string, odd ...[]string) {
	var values []string
	for range d.IntN(most + 1) {
		if v := text(d.from(plain, odd...)); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	if len(values) > 0 {
		d.line("%s = [%s]", key, strings.Join(values, ", "))
	}
}

// table writes a table of texts.
func (d *drawing) table(key string, names, plain []string, odd ...[]string) {
	if d.IntN(3) > 0 {
		return
	}
	d.line("%s = { %s = %s }", key, text(d.from(names, oddNames)), text(d.from(plain, odd...)))
}

func (d *drawing) file(path, content string, mode fs.FileMode) string {
	d.files[path] = &fstest.MapFile{Data: []byte(content), Mode: mode}
	return path
}

// text is a TOML string.
func text(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // strings always can be
	}
	return strings.ReplaceAll(strings.TrimSpace(b.String()), "\x7f", `\u007f`)
}

// The odd values of every pool: what has a meaning to a shell, GRUB, the
// kernel, systemd, a Containerfile, fstab, Go's templates or a terminal.
var oddTexts = []string{
	"", " ", "  x", "x ", "a b", `"`, `""`, `" x"`, "'", `\`, `\\`, "$HOME", "${x}", "$(x)", "`x`", "{{", "{{ . }}", "{{ .Vars.none }}", "%", "%h", "%%",
	"#x", ";", "&", "|", "<", ">", "*", "?", "[", "]", "a\nb", "a\r", "\t", "\x00", "\x01", "\x1b[31m", "\x7f", "\u0085", "\u009b", "\u00a0", "à", "\u2028", "\u202e", "\ufeff", "✓",
	"--", "-x", "=", "=x", "x=", "a=b=c", "..", ".", "/", "//", "~", "none", "scratch", "0", "-1", strings.Repeat("x", 64), strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("x", 1023), strings.Repeat("x", 4096),
}

var (
	names    = []string{"desktop", "router", "a", "b-c", "x_y", "v1.2"}
	oddNames = []string{strings.Repeat("n", 64), strings.Repeat("n", 65), "a..b", "-a", ".a", "a.", "A", "é", "a b", "a/b", "gitboot", "none", "older", "0", "__x", "a-older"}
	args     = []string{"quiet", "console=ttyS0,115200", "a.b=c", `x="b c"`, `"y=b c"`, "panic=10", "init=/bin/sh", "gitboot.wait=90", "gitboot.ram=1", "z=$HOME;{y}&|#", "ü=✓"}
	oddArgs  = []string{`"--"`, "gitboot.wait=3m", "gitboot.wait=", "gitboot.shell=yes", "gitboot.machine=x", `"gitboot.deployment=x"`, `gitboot.stage="x y"`, "gitboot.trying=1", "gitboot.x=1",
		`a="b`, `a="b"c`, `"a"b"`, `x="à b"`, "x=à", "BOOT_IMAGE=/x", strings.Repeat("l", 700), strings.Repeat("l", 1400), strings.Repeat("l", 2047), "root=/dev/sda"}
	refs    = []string{"r.lan/a:1", "r.lan:5000/a/b", "a", "localhost/x:y", "ghcr.io/x/y@sha256:" + strings.Repeat("0", 64), "r.lan/a:1@sha256:" + strings.Repeat("f", 64)}
	oddRefs = []string{"r.lan:0/a", "r.lan:99999/a", "r.lan:65535/a:1", "localhost:70000/a:1", "a_b.c/d", "a__b/c", "R.LAN/a", "r.lan/A", "a:" + strings.Repeat("t", 128), "a:" + strings.Repeat("t", 129),
		"r.lan/" + strings.Repeat("p/", 126) + "ppp", "r.lan/" + strings.Repeat("p/", 127) + "pp", "a--b/c", "a.-b/c", "-a.b/c", "a-.b/c", "x:5000", "1.2.3.4/a", "[::1]:5000/a", "docker.io/a", "http://r.lan/a", "a/", "/a", "a:", "a@sha256:0", "a.b:1", "localhost", "a..b/c:1"}
	crons    = []string{"0 3 * * *", "*/30 * * * *", "@daily", "@every 6h", "0 0 1-5,7 jan-mar mon", "5/20 1 * * ?", "CRON_TZ=Asia/Kolkata 0 3 * * *"}
	oddCrons = []string{"1,,2 * * * *", "*-5 * * * *", "+1 * * * *", "0 0 31 2 *", "@every 1s", "@every -1h", "TZ=UTC", "CRON_TZ=x 0 0 * * *", "60 * * * *", "0 0 * * 7", "*/0 * * * *", "1-2-3 * * * *", "*/9999999999999999999 * * * *", "@reboot", "@every 2562047h47m", "0 0 29 2 *", ", * * * *"}
	paths    = []string{"/etc/a", "/etc/b/c", "/usr/lib/x.conf", "/srv/data", "/etc/with space"}
	oddPaths = []string{"/", "//a", "/a/", "/a/../b", "/a/./b", "/.wh.a", "/a/.wh..wh..opq", "/" + strings.Repeat("n", 255), "/" + strings.Repeat("n", 256), "/etc/a/below", "/etc", "/proc/x", "/dev/x", "/run/x", "/a\nb", "relative", "/etc/\u009bx", "/" + strings.Repeat("d/", 500) + "x", "/etc/b"}
)

func (d *drawing) fresh(taken []string) string {
	for {
		if name := d.from(names, oddNames, oddTexts); !slices.Contains(taken, name) {
			return name
		}
	}
}

func (d *drawing) shared() {
	d.list("kernel_args", 4, args, oddArgs, oddTexts)
	d.list("kernel_args_append", 2, args, oddArgs)
	d.set(6, "kernel", []string{"6.1.*", "/boot/vmlinuz-*"}, oddTexts)
	d.set(6, "tmpfs_size", []string{"2G", "50%", "512M"}, []string{"0", "101%", "100%", "999999999999999g", "1T", "01k"}, oddTexts)
}

func (d *drawing) pulled() {
	if len(d.images) > 3 {
		return
	}
	name := d.fresh(d.images)
	d.images = append(d.images, name)
	d.line("[image.%s]\npull = %s", text(name), text(d.from(refs, oddRefs, oddTexts)))
	d.shared()
	d.list("mirrors", 2, []string{"m.lan", "m.lan:5000/p", "localhost"}, []string{"m.lan:0", "m.lan:99999/x", "https://m.lan", "m"}, oddTexts)
	d.set(6, "layer_size", []string{"30GB", "500MB", "999999TB"}, []string{"30", "0GB", "30GiB", "-1GB", "1.5GB", "9999999TB"}, oddTexts)
	d.set(4, "update", crons, oddCrons, oddTexts)
	d.set(6, "platform", []string{"linux/amd64", "linux/arm64/v8"}, []string{"linux", "linux/", "a/b/c/d"}, oddTexts)
}

func (d *drawing) built() {
	if len(d.images) > 3 {
		return
	}
	name := d.fresh(d.images)
	d.images = append(d.images, name)
	d.line("[image.%s]", text(name))
	d.shared()
	d.line("[image.%s.build]\nfrom = %s", text(name), text(d.from(refs, oddRefs)))
	if d.IntN(2) == 0 {
		d.line("containerfiles = [%s]", text(d.file("f/one.containerfile", d.containerfile(), 0o644)))
	}
	if d.IntN(3) == 0 {
		d.line("recipe = %s", text("recipes/r"))
		d.file("recipes/r/script", d.from([]string{"#!/bin/sh\ntrue\n"}, []string{"true\n", "", "#!", "#!\n", "\ufeff#!/bin/sh\n"}), fs.FileMode(0o755-0o111*d.rarely()))
	}
	if d.IntN(3) == 0 {
		d.line("copy = [{ from = %s, to = %s }]", text(d.file("data/x", "x", 0o644)), text(d.from(paths, oddPaths, oddTexts)))
	}
	d.list("run", 2, []string{"true", "echo a\necho b", "echo $HOME '\"'"}, oddTexts)
	d.table("args", []string{"LANG", "x"}, []string{"en_US.UTF-8", "a b"}, oddTexts)
	if d.odd > 0 && d.IntN(4) == 0 {
		d.odd--
		d.line("[image.%s.build.args]\n%s = \"x\"", text(name), d.from([]string{"GITBOOT_FROM", "PATH", "HOME", "_", "http_proxy"}))
		return
	}
	d.table("labels", []string{"org.example.x", "x"}, []string{"a b", "it's"}, oddTexts)
	d.table("secrets", []string{"token"}, []string{"/etc/token"}, oddPaths, oddTexts)
	d.set(4, "schedule", crons, oddCrons)
	d.set(4, "timeout", []string{"30m", "1h30m", "90s"}, []string{"0s", "1ns", "200h", "1.5.5h", "..h"}, oddTexts)
	d.set(4, "push", []string{"r.lan/built:1"}, oddRefs)
}

func (d *drawing) rarely() int {
	if d.odd > 0 && d.IntN(6) == 0 {
		d.odd--
		return 1
	}
	return 0
}

// containerfile draws a fragment, line by line.
func (d *drawing) containerfile() string {
	text := d.from([]string{"FROM $GITBOOT_FROM\n", "FROM ${GITBOOT_FROM}\n", "# c\nFROM $GITBOOT_FROM AS x\n", "FROM r.lan/tool:1 AS tool\nFROM $GITBOOT_FROM\nCOPY --from=tool /a /a\n"},
		[]string{"", "RUN true\n", "FROM scratch\n", "FROM a\n", "FROM $NONE\n", "ARG x\nFROM $x\n", "FROM\n", "FROM $GITBOOT_FROM extra words\n"})
	for range d.IntN(4) {
		text += d.from([]string{"RUN true\n", "RUN a \\\n  b\n", "ENV A=b\n", "COPY data /srv\n", "ARG y=1\nRUN echo $y\n", "LABEL a=b\n", "USER 0\n", "WORKDIR /srv\n", "RUN <<EOF\ntrue\nEOF\n"},
			[]string{"RNU x\n", "COPY none /x\n", "COPY ../x /x\n", "RUN <<EOF\ntrue\n", "ADD https://a/b /c\n", "ONBUILD RUN x\n", "COPY --from=none /a /b\n", "COPY --from=$z /a /b\n", "RUN --mount=type=bind,from=r.lan/x,target=/x true\n",
				"\\\n", "RUN\n", "COPY x\n", "HEALTHCHECK NONE\n", "FROM other\n", "ARG\n", "ENV\n", "RUN a \\", "\x00", "RUN <<\"E O F\"\nx\nE O F\n", "# syntax=x\n", "SHELL [\"/bin/sh\"]\n", "COPY --chmod=755 data /x\n"})
	}
	d.file("data/x", "x", 0o644)
	return text
}

func (d *drawing) hook(kind string) string {
	name := kind
	if d.rarely() == 1 {
		name = d.from(oddNames)
	}
	if slices.Contains(d.hooks, name) {
		return ""
	}
	d.hooks = append(d.hooks, name)
	return "hook." + text(name)
}

func (d *drawing) hookOfFiles() {
	hook := d.hook("files")
	if hook == "" {
		return
	}
	for range 1 + d.IntN(3) {
		d.line("[[%s.file]]\npath = %s", hook, text(d.from(paths, oddPaths, oddTexts)))
		switch d.IntN(4) {
		case 0:
			d.line("link = %s", text(d.from([]string{"../x", "/etc/a"}, oddTexts, oddPaths)))
			continue
		case 1:
			d.line("source = %s", text(d.from([]string{d.file("data/x", "x", 0o644)}, []string{"data", "none", "../x", "/x", "data/../data/x", "./data/x"})))
		case 2:
			d.line("template = %s", text(d.from([]string{"{{ .Machine.Name }}", "{{ .Vars.v }}", "x"}, oddTexts)))
		case 3:
			d.line("content = %s", text(d.from([]string{"x\n", ""}, oddTexts)))
		}
		d.set(3, "mode", []string{"0644", "755"}, []string{"4755", "0000", "07777", "8", "0o644"})
		d.set(3, "owner", []string{"0:0", "1000:1000"}, []string{"4294967295:0", "999999999:999999999", "root:root", "-1:0", "1"})
	}
}

func (d *drawing) hookOfPaths() {
	hook := d.hook("paths")
	if hook == "" {
		return
	}
	d.line("[%s]", hook)
	d.list("remove", 2, paths, oddPaths, oddTexts)
	d.line("[[%s.dir]]\npath = %s", hook, text(d.from(paths, oddPaths)))
	d.set(3, "mode", []string{"0700"}, []string{"1777", "9"})
	d.line("[[%s.link]]\npath = %s\nto = %s", hook, text(d.from(paths, oddPaths)), text(d.from([]string{"x", "/etc/{{ .Machine.Name }}"}, oddTexts, oddPaths)))
}

func (d *drawing) hookOfScripts() {
	hook := d.hook("scripts")
	if hook == "" {
		return
	}
	d.line("[[%s.run]]\ncontent = \"#!/bin/sh\\ntrue\\n\"", hook)
	d.set(2, "name", names, oddNames, oddTexts)
	d.table("env", []string{"A", "b_c"}, []string{"x", "{{ .Machine.Name }}"}, oddTexts)
	d.line("[[%s.at_boot]]\ncontent = \"#!/bin/sh\\ntrue\\n\"", hook)
	d.set(2, "name", names, oddNames, oddTexts)
}

func (d *drawing) fstab() {
	hook := d.hook("mounts")
	if hook == "" {
		return
	}
	for range 1 + d.IntN(3) {
		d.line("[[%s.fstab.mount]]\ndevice = %s\npath = %s", hook, text(d.from([]string{"UUID=1-2", "/dev/sda1", "LABEL=a b", "h:/x"}, oddTexts)),
			text(d.from([]string{"/home", "/srv", "/mnt/a b", "none"}, []string{"/", "/home/", "//a", "/a/../b", "/home", "swap", "{{ .Vars.v }}"}, oddTexts)))
		d.set(2, "type", []string{"ext4", "swap", "auto", "nfs"}, oddTexts)
		d.set(2, "options", []string{"noatime,ro", "defaults"}, []string{",", "a,,b", "x=y z"}, oddTexts)
		if d.IntN(3) == 0 {
			d.line("dump = %s\npass = %s", d.from([]string{"0", "1"}, []string{"2", "9", "-1"}), d.from([]string{"0", "1", "2"}, []string{"3", "9"}))
		}
	}
}

func (d *drawing) keys() {
	hook := d.hook("keys")
	if hook == "" {
		return
	}
	const key = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	d.line("[[%s.authorized-keys.user]]\nuser = %s\nowner = %s\nkeys = [%s]", hook, text(d.from([]string{"root", "ada"}, []string{"0", "-a", "Ada", "a.b", strings.Repeat("u", 33)}, oddTexts)),
		text(d.from([]string{"1000:1000"}, []string{"0:0", "x:y"})),
		text(d.from([]string{"ssh-ed25519 " + key + " ada@x", "from=\"10.0.0.0/8\" ssh-ed25519 " + key},
			[]string{"ssh-rsa " + key, "ssh-ed25519 " + key[:40], "ssh-ed25519 " + strings.Repeat("A", 68), "ssh-ed25519 " + key + "=", "ssh-ed25519\t" + key, "ssh-ed25519 " + key + " a\nssh-ed25519 " + key}, oddTexts)))
	d.set(3, "home", paths, oddPaths)
}

func (d *drawing) resolvConf() {
	hook := d.hook("dns")
	if hook == "" {
		return
	}
	d.line("[%s.resolv-conf]", hook)
	if d.IntN(3) == 0 {
		d.line("link = %s", text(d.from([]string{"/run/x"}, oddTexts, oddPaths)))
		return
	}
	d.list("nameservers", 3, []string{"1.1.1.1", "fe80::1", "::1"}, []string{"fe80::1%eth0", "fe80::1% x", "1.2.3", "01.1.1.1", "::ffff:1.2.3.4"}, oddTexts)
	d.list("search", 2, []string{"lan", "a.b"}, oddTexts)
	d.list("options", 2, []string{"rotate", "timeout:1"}, oddTexts)
}

func (d *drawing) hostname() {
	hook := d.hook("host")
	if hook == "" {
		return
	}
	d.line("[%s.hostname]", hook)
	d.set(2, "name", []string{"laptop", "{{ .Machine.Name }}"}, oddNames, oddTexts)
	d.set(2, "domain", []string{"lan", "example.org"}, oddTexts)
}

func (d *drawing) machines() {
	d.line("[profile.p]")
	d.list("kernel_args_append", 2, args, oddArgs)
	d.list("hooks_append", 1, []string{"fstab", "machine-id", "hostname"})
	d.line("vars = { v = %s }", text(d.from([]string{"x", "/srv/v"}, oddTexts)))
	for range 1 + d.IntN(2) {
		name := d.fresh(d.machine)
		d.machine = append(d.machine, name)
		d.line("[machine.%s]\nprofiles = [\"p\"]\nimages = [%s]\nhooks = [%s]", text(name), quoted(d.images), quoted(d.hooks))
		d.list("kernel_args", 3, args, oddArgs, oddTexts)
		d.list("kernel_args_append", 3, args, oddArgs)
		if d.IntN(3) == 0 {
			d.line("boot = { mode = %s, timeout = %s }", text(d.from([]string{"menu", "managed"}, oddTexts)), d.from([]string{"0", "5", "-1"}, []string{"-2", "3601", "99999999999"}))
		}
	}
}

func quoted(names []string) string {
	var out []string
	for _, name := range names {
		out = append(out, text(name))
	}
	return strings.Join(out, ", ")
}

// listing shows a repo, long lines cut.
func listing(fsys fstest.MapFS) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fsys)) {
		fmt.Fprintf(&b, "-- %s %v --\n", name, fsys[name].Mode)
		for line := range strings.Lines(string(fsys[name].Data)) {
			fmt.Fprintf(&b, "%.300q\n", line)
		}
	}
	return b.String()
}
