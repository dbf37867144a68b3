// Package bootstraps runs what examples/bootstraps and docs/bootstrap.md say of
// bases from scratch. Debian's are run, once per cache: mmdebstrap's by tests/vm,
// which boots what comes out, and debootstrap's here, without a kernel. The
// scripts of other distributions, whose tools and mirrors are not to be had
// everywhere, are run with stand-ins for the tools: what the scripts do is
// tested, not what the tools do.
package bootstraps

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

const scripts = "../../examples/bootstraps/make"

// epoch is SOURCE_DATE_EPOCH of the stand-ins' runs.
const epoch = 1700000000

func TestDebootstrap(t *testing.T) {
	need.Root(t)
	need.Program(t, "debootstrap")
	command := []string{"./debian.sh", "bookworm"}
	if mirror := os.Getenv("GITBOOT_MIRROR"); mirror != "" {
		command = append(command, "", mirror)
	}
	path, err := lab.Bootstrap(t.Context(), scripts, command)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := entries(t, f)
	for _, name := range []string{".", "usr/bin/dpkg", "etc/os-release", "var/lib/dpkg/status"} {
		if _, ok := all[name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
	if h := all["usr/bin/passwd"]; h.Mode != 0o4755 || h.Uid != 0 {
		t.Errorf("passwd is of %d with mode %o", h.Uid, h.Mode)
	}
	checkTidy(t, all)
}

// standIn is a tool that says how it was called, and makes a small root file
// system with what the scripts have to take out again.
const standIn = `#!/bin/sh
echo "${0##*/} $*" | sed "s|$TMPDIR/[^/ ]*|ROOT|" >>"$CALLS"
[ -z "$FAIL" ] || exit 7
for root in "$@"; do case $root in --installroot=*) root=${root#*=} ;; esac; [ ! -d "$root" ] || break; done
cd "$root" || exit
mkdir -p bin var/lib/pacman/local/x
echo busybox >bin/tool && chmod 4755 bin/tool && ln -sf tool bin/sh
[ "$(id -u)" != 0 ] || setcap cap_net_raw+ep bin/tool
printf '%%INSTALLDATE%%\n1234\n\n%%PACKAGER%%\nx\n' >var/lib/pacman/local/x/desc
for f in boot/initramfs-x.img etc/ssh/ssh_host_rsa_key var/cache/ldconfig/aux-cache $LEAVES; do
	mkdir -p "${f%/*}" && date +%N >"$f"
done
echo "what a tool prints"
`

func TestScriptsOfOthers(t *testing.T) {
	for _, c := range []struct {
		command []string
		calls   string
		leaves  string // what the tool leaves, and the script takes out
	}{
		{[]string{"./arch.sh", "base", "linux"}, "pacstrap -c -G ROOT base linux\n", "var/log/pacman.log var/cache/pacman/pkg/p var/lib/pacman/sync/db"},
		{[]string{"./fedora.sh", "42", "systemd", "kernel-core"}, "dnf --assumeyes --installroot=ROOT --use-host-config --releasever=42 --setopt=install_weak_deps=False --setopt=tsflags=nodocs install systemd kernel-core\n", "var/log/dnf5.log var/cache/libdnf5/p"},
		{[]string{"./void.sh", "https://mirror.example/current", "base-system"}, "xbps-install --yes --sync --rootdir ROOT --repository https://mirror.example/current base-system\nxbps-reconfigure --rootdir ROOT --force --all\n", "var/cache/xbps/p"},
	} {
		t.Run(c.command[0], func(t *testing.T) {
			r := newRun(t)
			r.env = append(r.env, "LEAVES="+c.leaves)
			out, err := r.run(t, c.command)
			if err != nil {
				t.Fatal(err)
			}
			if calls, err := os.ReadFile(r.calls); err != nil || string(calls) != c.calls {
				t.Errorf("the tools were called as %s%v; want %s", calls, err, c.calls)
			}
			all := entries(t, bytes.NewReader(out))
			if h := all["bin/tool"]; h.Mode != 0o4755 || os.Geteuid() == 0 && h.PAXRecords["SCHILY.xattr.security.capability"] == "" {
				t.Errorf("the tool has mode %o and records %q", h.Mode, slices.Sorted(maps.Keys(h.PAXRecords)))
			}
			if all["bin/sh"].Linkname != "tool" {
				t.Errorf("the link is %+v", all["bin/sh"])
			}
			checkTidy(t, all)
			if again, err := r.run(t, c.command); err != nil || !bytes.Equal(again, out) {
				t.Errorf("a second run gives another archive: %v", err)
			}
			r.env = append(r.env, "FAIL=1")
			if out, err := r.run(t, c.command); err == nil || len(out) > 0 {
				t.Errorf("a tool that fails gives %d bytes and %v", len(out), err)
			}
		})
	}
}

// Debian's base is made by the same command wherever it is shown, so that what
// tests/vm boots stands for all of them.
func TestOneDebian(t *testing.T) {
	found := map[string]int{}
	command := regexp.MustCompile(`(?s)bootstrap = \[\n  "mmdebstrap".*?\n\]\n`)
	for _, file := range []string{"../../docs/bootstrap.md", "../../examples/bootstraps/gitboot.toml", "../../examples/dotfiles/images/images.toml",
		"../../examples/fragments/gitboot.toml", "../../examples/recipes/gitboot.toml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[command.FindString(string(data))]++
	}
	if len(found) != 1 || found[""] > 0 {
		t.Errorf("these differ: %v", found)
	}
}

// The page shows one of the scripts.
func TestDocumentedScript(t *testing.T) {
	page, err := os.ReadFile("../../docs/bootstrap.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(scripts, "arch.sh"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```text file=make/arch.sh\n"+string(script)+"```\n") {
		t.Error("docs/bootstrap.md does not show make/arch.sh as it is in examples/bootstraps")
	}
}

// A scriptRun runs scripts with stand-ins in the place of the tools.
type scriptRun struct {
	calls string
	env   []string
}

func newRun(t *testing.T) *scriptRun {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"pacstrap", "dnf", "xbps-install", "xbps-reconfigure"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(standIn), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Void's keys, from wherever this machine has them, are not copied.
	if err := os.WriteFile(filepath.Join(bin, "cp"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := &scriptRun{calls: filepath.Join(t.TempDir(), "calls")}
	r.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "CALLS="+r.calls, "SOURCE_DATE_EPOCH=1700000000")
	return r
}

func (r *scriptRun) run(t *testing.T, command []string) ([]byte, error) {
	t.Helper()
	if err := os.RemoveAll(r.calls); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = scripts, append(r.env, "TMPDIR="+t.TempDir())
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	t.Logf("%s: %v\n%s", strings.Join(command, " "), err, log.String())
	return out, err
}

// untidy is how the names begin of what an image must not hold. It is never
// written to.
var untidy = []string{"boot/init", "etc/ssh/ssh_host_", "var/log/dpkg.log", "var/log/apt/", "var/log/pacman.log", "var/log/dnf5.log",
	"var/cache/ldconfig/aux", "var/cache/pacman/pkg/", "var/cache/xbps", "var/cache/libdnf5", "var/lib/pacman/sync", "var/lib/apt/lists/"}

// checkTidy looks for what an image must not hold, and for times that are
// later than the epoch.
func checkTidy(t *testing.T, all map[string]*tar.Header) {
	t.Helper()
	for name, h := range all {
		if slices.ContainsFunc(untidy, func(bad string) bool { return strings.HasPrefix(name, bad) }) {
			t.Errorf("%s is in it", name)
		}
		if h.ModTime.After(time.Unix(epoch, 0)) {
			t.Errorf("%s is of %v", name, h.ModTime)
		}
		if h.PAXRecords["atime"] != "" || h.PAXRecords["ctime"] != "" {
			t.Errorf("%s has times that differ from run to run: %q", name, h.PAXRecords)
		}
	}
	if h := all["."]; h.Mode != 0o755 {
		t.Errorf("the root folder has mode %o", h.Mode)
	}
}

// entries reads an archive, by clean names.
func entries(t *testing.T, r io.Reader) map[string]*tar.Header {
	t.Helper()
	all := map[string]*tar.Header{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Clean(h.Name)] = h
	}
}
