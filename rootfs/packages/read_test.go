package packages

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/tests/need"
)

// An fsRoot lets tests read databases from files in memory and from folders.
type fsRoot struct{ fs.FS }

func (r fsRoot) ReadFile(path string, limit int64) ([]byte, error) {
	data, err := fs.ReadFile(r.FS, path)
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("larger than %d bytes", limit)
	}
	return data, err
}

func (r fsRoot) ReadDir(path string) (names []string, err error) {
	entries, err := fs.ReadDir(r.FS, path)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if os.IsNotExist(err) {
		err = nil
	}
	return names, err
}

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

// testdata returns a fixture; testdata/README.md says how each was made.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const (
	dpkgStatus = `Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Description: shell
 Package: not-this
Conffiles:
 /etc/bash.bashrc 89269e1298235f1b12b4c16e4065ad0d

Package: gone
Status: deinstall ok config-files
Version: 1

Package: half
Status: install ok half-configured
Version: 2:1.0
`
	apkInstalled = `C:Q1VFG2SuJdASGlXwlXF3975TbbpQU=
P:musl
V:1.2.4-r2
A:x86_64
T:the musl c library
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755

P:.run-deps
V:20230101.120000
A:noarch
p:jq
`
	xbpsPackage = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple Computer//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>_XBPS_ALTERNATIVES_</key>
	<dict>
		<key>sh</key>
		<array><string>dash</string></array>
	</dict>
	<key>python3-foo</key>
	<dict>
		<key>architecture</key>
		<string>x86_64</string>
		<key>conf_files</key>
		<array><dict><key>pkgver</key><string>not-this_1</string></dict></array>
		<key>pkgver</key>
		<string>python3-foo-2.1&amp;a_3</string>
		<key>state</key>
		<string>installed</string>
	</dict>
	<key>leaving</key>
	<dict>
		<key>pkgver</key>
		<string>leaving-1_1</string>
		<key>state</key>
		<string>half-removed</string>
	</dict>
</dict>
</plist>
`
)

func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		root fstest.MapFS
		want []Package
	}{
		"nothing": {files("etc/hostname", "x"), nil},
		"dpkg":    {files("var/lib/dpkg/status", dpkgStatus), []Package{{Dpkg, "bash", "5.2.15-2+b7", "amd64"}, {Dpkg, "half", "2:1.0", ""}}},
		"distroless": {files("var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\nArchitecture: amd64\n", "var/lib/dpkg/status.d/base.md5sums", "Package: x\nVersion: 1\n"),
			[]Package{{Dpkg, "base-files", "12", "amd64"}}},
		"apk":        {files("lib/apk/db/installed", apkInstalled), []Package{{Apk, ".run-deps", "20230101.120000", "noarch"}, {Apk, "musl", "1.2.4-r2", "x86_64"}}},
		"apk in usr": {files("usr/lib/apk/db/installed", "P:a\nV:1"), []Package{{Apk, "a", "1", ""}}},
		"pacman":     {files("var/lib/pacman/local/iana-etc-1:2024.a_b-1/desc", "%NAME%\n", "var/lib/pacman/local/ALPM_DB_VERSION", "9\n", "var/lib/pacman/local/-1-1/desc", ""), []Package{{Pacman, "iana-etc", "1:2024.a_b-1", ""}}},
		"xbps":       {files("var/db/xbps/pkgdb-0.38.plist", xbpsPackage, "var/db/xbps/.foo-files.plist", "?"), []Package{{Xbps, "python3-foo", "2.1&a_3", "x86_64"}}},
		"two":        {files("var/lib/dpkg/status", dpkgStatus, "lib/apk/db/installed", "P:a\nV:1"), []Package{{Apk, "a", "1", ""}, {Dpkg, "bash", "5.2.15-2+b7", "amd64"}, {Dpkg, "half", "2:1.0", ""}}},
		"hostile":    {files("lib/apk/db/installed", "P:\x1b[2Ja b\nV:1\t2\n\nP:"+strings.Repeat("x", 500)+"\nV:1"), []Package{{Apk, strings.Repeat("x", 200), "1", ""}, {Apk, "\ufffd[2Ja\ufffdb", "1\ufffd2", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read(fsRoot{test.root})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDamagedLeavesOthers(t *testing.T) {
	root := files("var/lib/dpkg/status", dpkgStatus, "var/db/xbps/pkgdb-0.38.plist", "<plist><dict>", "var/lib/rpm/Packages", "garbage")
	got, err := Read(fsRoot{root})
	if len(got) != 2 || err == nil || !strings.Contains(err.Error(), "/var/db/xbps/pkgdb-0.38.plist") || !strings.Contains(err.Error(), "/var/lib/rpm/Packages") {
		t.Errorf("%v, %v", got, err)
	}
}

// rpmPackages are those of the fixtures.
var rpmPackages = []Package{{RPM, "kernel", "6.1.10-200", "x86_64"}, {RPM, "kernel", "6.1.9-200", "x86_64"}, {RPM, "large", "2:2.5~rc1-3.fc38", "x86_64"}, {RPM, "small", "1.0-1", "noarch"}}

func TestRPM(t *testing.T) {
	for path, data := range map[string][]byte{
		"usr/lib/sysimage/rpm/rpmdb.sqlite": testdata(t, "rpmdb.sqlite.gz"),
		"var/lib/rpm/Packages":              testdata(t, "Packages.gz"),
		"var/lib/rpm/Packages.db":           testdata(t, "Packages.db.gz"),
	} {
		got, err := Read(fsRoot{files(path, string(data))})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if diff := cmp.Diff(rpmPackages, got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

// What rpm has not moved from its log into the database counts too.
func TestRPMLog(t *testing.T) {
	const path = "var/lib/rpm/rpmdb.sqlite"
	root := files(path, string(testdata(t, "rpmdb.sqlite.gz")), path+"-wal", string(testdata(t, "rpmdb.sqlite-wal.gz")))
	got, err := Read(fsRoot{root})
	if err != nil {
		t.Fatal(err)
	}
	want := []Package{{RPM, "kernel", "6.1.9-200", "x86_64"}, {RPM, "large", "2:2.5~rc1-3.fc38", "x86_64"}, {RPM, "later", "2:2.5~rc1-3.fc38", "x86_64"}, {RPM, "small", "1.0-1", "noarch"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What dpkg says of this machine is the real thing.
func TestDpkgOfThisMachine(t *testing.T) {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version} ${Architecture}\n").Output()
	need.Done(t, err)
	var want []Package
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] != "config-files" && f[0] != "not-installed" {
			want = append(want, Package{Dpkg, f[1], f[2], f[3]})
		}
	}
	got, err := readDpkg(fsRoot{os.DirFS("/")})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(want, compare)
	slices.SortFunc(got, compare)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
