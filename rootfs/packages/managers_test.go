package packages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/tests/need"
)

// says executes a package manager and returns what it prints, a line each.
func says(t *testing.T, dir string, command ...string) []string {
	t.Helper()
	cmd := exec.Command(need.Program(t, command[0]), command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+dir)
	out, err := cmd.Output()
	if failed, ok := err.(*exec.ExitError); ok {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	need.Done(t, err)
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// ours are lines "NAME /PATH" of one system's packages, sorted, each once.
func ours(t *testing.T, system System, root string) (lines []string) {
	t.Helper()
	err := Owners(fsRoot{os.DirFS(root)}, func(o Owner, path string) {
		if o.System == system {
			lines = append(lines, o.Name+" /"+path)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return sorted(lines)
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return slices.Compact(lines)
}

func compareOwners(t *testing.T, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(sorted(want), got); diff != "" || len(got) < 10 {
		t.Errorf("%d files; what the manager says (-), what we say (+):\n%s", len(got), diff)
	}
}

// Whose this machine's files are, diverted ones and foreign architectures' among them. dpkg
// is asked about a copy of its database, which nobody changes meanwhile; of a package that is
// removed while it is copied there is no list.
func TestOwnersAsDpkgSays(t *testing.T) {
	dir := t.TempDir()
	admin := filepath.Join(dir, "var/lib/dpkg")
	write(t, filepath.Join(admin, "info/format"), "1\n")
	write(t, filepath.Join(admin, "updates/none"), "")
	says(t, "/var/lib/dpkg", "sh", "-c", `cp status diversions "$1" && { cp info/*.list "$1/info" || :; }`, "sh", admin)

	var packages []string
	for _, line := range says(t, dir, "dpkg-query", "--admindir", admin, "-W", "-f", "${binary:Package} ${Package} ${db:Status-Status}\n") {
		words := strings.Fields(line)
		lists, err := filepath.Glob(filepath.Join(admin, "info", words[1]) + "[:.]*list")
		if err == nil && len(lists) > 0 && words[2] != "config-files" && words[2] != "not-installed" {
			packages = append(packages, words[0])
		}
	}
	var want []string
	next := 0 // package whose files come; an empty line is between two
	for _, line := range says(t, dir, append([]string{"dpkg-query", "--admindir", admin, "-L"}, packages...)...) {
		name, _, _ := strings.Cut(packages[next], ":")
		said, to, diversion := strings.Cut(line, " to: ")
		switch {
		case line == "":
			next++
		case line == "/.", diversion && said == "package diverts others":
		case diversion && (said == "locally diverted" || strings.HasPrefix(said, "diverted by ")): // the file before
			want[len(want)-1] = name + " " + to
		default:
			want = append(want, name+" "+line)
		}
	}
	compareOwners(t, want, ours(t, Dpkg, dir))
}

const rpmSpec = `Name: %s
Version: 1
Release: %%{rel}
Epoch: 3
Summary: a test
License: none
BuildArch: noarch
%%description
%%package libs
Summary: its libraries
%%description libs
%%install
cd %%{buildroot}
mkdir -p usr/lib/%[1]s/empty usr/share/doc usr/share/%[1]s etc usr/share/all
echo lib > usr/lib/%[1]s/lib
ln usr/lib/%[1]s/lib usr/lib/%[1]s/hard
ln -s lib usr/lib/%[1]s/soft
echo doc > usr/share/doc/%[1]s
echo %[1]s > usr/share/all/of
for i in %%{rel} $(seq 100); do echo $i > "usr/share/%[1]s/ä number $i"; done
echo conf > etc/%[1]s.conf
%%files
/usr/share/%[1]s
/usr/share/all/of
%%ghost /usr/share/%[1]s.cache
%%doc /usr/share/doc/%[1]s
%%config(noreplace) /etc/%[1]s.conf
%%files libs
/usr/lib/%[1]s
`

// rpm leaves in its database what it did not install, and what another package's file has
// replaced since: these are not the package's any more.
func TestOwnersAsRPMSays(t *testing.T) {
	need.Root(t) // rpm changes its root to the one it installs in
	dir := t.TempDir()
	build := func(name, release string) {
		if err := os.WriteFile(filepath.Join(dir, name+".spec"), fmt.Appendf(nil, rpmSpec, name), 0o600); err != nil {
			t.Fatal(err)
		}
		says(t, dir, "rpmbuild", "--quiet", "-bb", "-D", "_topdir "+dir, "-D", "rel "+release, name+".spec")
	}
	root := filepath.Join(dir, "root")
	rpm := func(args ...string) []string {
		return says(t, dir, append([]string{"rpm", "--root", root, "--dbpath", "/usr/lib/sysimage/rpm"}, args...)...)
	}
	for _, step := range []struct{ name, release, how string }{{"second", "1", "-i"}, {"first", "one", "-i"}, {"first", "two", "-U"}, {"third", "1", "-i"}} {
		build(step.name, step.release)
		if err := os.MkdirAll(root, 0o755); err != nil {
			t.Fatal(err)
		}
		built := filepath.Join(dir, "RPMS/noarch", step.name)
		rpm("--nodeps", "--replacefiles", "--excludedocs", step.how, fmt.Sprintf("%s-1-%s.noarch.rpm", built, step.release), fmt.Sprintf("%s-libs-1-%s.noarch.rpm", built, step.release))
	}
	var want []string
	for _, name := range rpm("-qa", "--qf", "%{NAME}\n") {
		for _, line := range rpm("-q", "--qf", "[%{FILESTATES:fstate} %{FILENAMES}\n]", name) {
			if path, normal := strings.CutPrefix(line, "normal "); normal {
				want = append(want, name+" "+path)
			}
		}
	}
	compareOwners(t, want, ours(t, RPM, root))
	if got := rpm("-qf", "--qf", "%{NAME}\n", "/usr/share/all/of"); !slices.Equal(got, []string{"third"}) {
		t.Errorf("rpm says that the file of all is of %q", got)
	}
}

func TestOwnersAsPacmanSays(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(filepath.Join(root, "var/lib/pacman"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pacman.conf"), []byte("[options]\nArchitecture = x86_64\nSigLevel = Never\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pacman := func(args ...string) []string {
		return says(t, dir, append([]string{"pacman", "--config", "pacman.conf", "--root", root}, args...)...)
	}
	install := func(name, version string, files ...string) {
		from := filepath.Join(dir, name+version)
		info := fmt.Sprintf("pkgname = %s\npkgbase = base\npkgver = %s\npkgdesc = a test\nsize = 10\narch = any\nbackup = %s\n", name, version, files[0])
		for path, text := range map[string]string{".PKGINFO": info, "usr/empty/" + name: ""} {
			files, from := files, from
			write(t, filepath.Join(from, path), text)
			for _, file := range files {
				write(t, filepath.Join(from, file), name+version)
			}
		}
		pkg := fmt.Sprintf("%s-%s-any.pkg.tar", name, version)
		says(t, dir, "sh", "-c", `cd "$1" && tar --owner=0 --group=0 -cf "../$2" .PKGINFO *`, "sh", from, pkg)
		pacman("--noconfirm", "-dd", "-U", pkg)
	}
	install("one", "1:1.0-1", "etc/one.conf", "usr/share/with space", "usr/share/ends with one ", "usr/share/ü", "%FILES%", " begins")
	install("one-libs", "1-1", "etc/libs.conf", "usr/lib/one")
	install("tools", "2-1", "etc/tools.conf", "usr/bin/tools", "usr/old")
	install("tools", "2-2", "etc/tools.conf", "usr/bin/tools", "usr/new")
	var want []string
	for _, line := range pacman("-Ql") {
		want = append(want, strings.TrimSuffix(strings.Replace(line, " "+root, " ", 1), "/"))
	}
	compareOwners(t, want, ours(t, Pacman, root))
}

// The fixture is of apk itself, and so is what it says of it.
func TestOwnersAsApkSays(t *testing.T) {
	said, err := os.ReadFile("testdata/apk-files")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	write(t, filepath.Join(root, "lib/apk/db/installed"), string(testdata(t, "apk-installed.gz")))
	compareOwners(t, strings.Split(strings.TrimSuffix(string(said), "\n"), "\n"), ours(t, Apk, root))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
