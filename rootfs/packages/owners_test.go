package packages

import (
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// owned is what Owners says, sorted.
func owned(t *testing.T, root Root) (lines []string) {
	t.Helper()
	err := Owners(root, func(o Owner, path string) {
		lines = append(lines, fmt.Sprintf("%s %s %s %s %s", o.System, o.Source, o.Name, o.Version, path))
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

func TestOwners(t *testing.T) {
	const status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.36)\nVersion: 2.36-9\n\n" +
		"Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-2\n\n" +
		"Package: old\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n"
	for name, c := range map[string]struct {
		root fs.FS
		want []string
	}{
		"dpkg": {files("var/lib/dpkg/status", status, "var/lib/dpkg/info/libc6:amd64.list", "/.\n/lib/x/libc.so.6\n", "var/lib/dpkg/info/bash.list", "/bin/bash\n",
			"var/lib/dpkg/info/old.list", "/etc/old\n", "var/lib/dpkg/info/bash.md5sums", "0  bin/bash\n"),
			[]string{"dpkg bash bash 5.2-2 bin/bash", "dpkg glibc libc6 2.36-9 lib/x/libc.so.6"}},
		"dpkg, diverted": {files("var/lib/dpkg/status", status, "var/lib/dpkg/info/libc6:amd64.list", "/bin/sh\n/bin/own\n", "var/lib/dpkg/info/bash.list", "/bin/sh\n",
			"var/lib/dpkg/diversions", "/bin/sh\n/bin/sh.distrib\nbash\n/bin/own\n/bin/own.mine\n:\n"),
			[]string{"dpkg bash bash 5.2-2 bin/sh", "dpkg glibc libc6 2.36-9 bin/own.mine", "dpkg glibc libc6 2.36-9 bin/sh.distrib"}},
		"apk": {files("lib/apk/db/installed", "P:musl\nV:1.2-r4\nA:x86_64\no:musl-source\nF:lib\nR:ld.so\na:0:0:755\nR:libc.so\n\nP:own\nV:1\nA:x86_64\nF:\nR:top\n"),
			[]string{"apk musl-source musl 1.2-r4 lib/ld.so", "apk musl-source musl 1.2-r4 lib/libc.so", "apk own own 1 top"}},
		"pacman": {files("var/lib/pacman/local/gcc-libs-13.2.1-3/desc", "%NAME%\ngcc-libs\n\n%BASE%\ngcc\n\n%ARCH%\nx86_64\n",
			"var/lib/pacman/local/gcc-libs-13.2.1-3/files", "%FILES%\nusr/\nusr/lib/libgcc_s.so\n\n%BACKUP%\netc/x\tabc\n"),
			[]string{"pacman gcc gcc-libs 13.2.1-3 usr", "pacman gcc gcc-libs 13.2.1-3 usr/lib/libgcc_s.so"}},
		"xbps": {files("var/db/xbps/pkgdb-0.38.plist", "<plist><dict><key>libgcc</key><dict><key>pkgver</key><string>libgcc-13.2.0_2</string><key>source-revisions</key><string>gcc:0a1b2c</string></dict>"+
			"<key>half</key><dict><key>pkgver</key><string>half-1_1</string><key>state</key><string>half-removed</string></dict></dict></plist>",
			"var/db/xbps/.libgcc-files.plist", "<plist><dict><key>dirs</key><array><dict><key>file</key><string>/usr/lib</string></dict></array><key>files</key><array><dict><key>file</key><string>/usr/lib/a&amp;b</string>"+
				"<key>sha256</key><string>00</string></dict></array><key>links</key><array><dict><key>file</key><string>/usr/lib/l</string><key>target</key><string>/usr/lib/a</string></dict></array></dict></plist>",
			"var/db/xbps/.half-files.plist", "<plist><dict><key>files</key><array><dict><key>file</key><string>/usr/half</string></dict></array></dict></plist>"),
			[]string{"xbps gcc libgcc 13.2.0_2 usr/lib", "xbps gcc libgcc 13.2.0_2 usr/lib/a&b", "xbps gcc libgcc 13.2.0_2 usr/lib/l"}},
		"none": {files("etc/os-release", ""), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, owned(t, fsRoot{c.root})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The fixtures are of rpm itself; their package large has a hundred files.
func TestOwnersRPM(t *testing.T) {
	var all [][]string
	for path, data := range map[string][]byte{
		"usr/lib/sysimage/rpm/rpmdb.sqlite": testdata(t, "rpmdb.sqlite.gz"), "var/lib/rpm/Packages": testdata(t, "Packages.gz"), "var/lib/rpm/Packages.db": testdata(t, "Packages.db.gz"),
	} {
		lines := owned(t, fsRoot{files(path, string(data))})
		if len(lines) != 109 || !slices.Contains(lines, "rpm large large 2:2.5~rc1-3.fc38 usr/share/large/file-number-100") {
			t.Errorf("%s: %d files: %q", path, len(lines), lines[:min(len(lines), 3)])
		}
		all = append(all, lines)
	}
	if !slices.Equal(all[0], all[1]) || !slices.Equal(all[0], all[2]) {
		t.Error("the three forms differ")
	}
}

func TestIsDatabase(t *testing.T) {
	for path, want := range map[string]bool{
		"var/lib/dpkg/status": true, "var/lib/dpkg/info/a.list": true, "var/lib/dpkg/info/a.md5sums": false, "var/lib/dpkg/status-old": false, "var/lib/dpkg/diversions": true,
		"lib/apk/db/installed": true, "var/lib/pacman/local/a-1-1/files": true, "var/lib/pacman/local/a-1-1/mtree": false, "var/db/xbps/.a-files.plist": true,
		"usr/lib/sysimage/rpm/rpmdb.sqlite": true, "usr/lib/sysimage/rpm/rpmdb.sqlite-wal": true, "usr/bin/rpm": false, "": false,
	} {
		if IsDatabase(path) != want {
			t.Errorf("%s: %t", path, !want)
		}
	}
}
