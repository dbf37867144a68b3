package packages

import (
	"testing"
	"testing/fstest"
)

// FuzzRPM changes bytes of good files; nothing may panic or go on for ever.
func FuzzRPM(f *testing.F) {
	good := map[string][]byte{"rpmdb.sqlite": testdata(f, "rpmdb.sqlite.gz"), "Packages": testdata(f, "Packages.gz"), "Packages.db": testdata(f, "Packages.db.gz")}
	for name := range good {
		f.Add(name, uint32(0), []byte{0xff}, uint32(1<<30))
		f.Add(name, uint32(4096+3), []byte{0xff, 0xff}, uint32(8192))
		f.Add(name, uint32(100), []byte{5, 0, 0, 0, 9}, uint32(100_000))
	}
	wal := testdata(f, "rpmdb.sqlite-wal.gz")
	f.Fuzz(func(_ *testing.T, name string, at uint32, change []byte, length uint32) {
		data := append([]byte(nil), good[name]...)
		if len(data) > 0 {
			copy(data[int(at)%len(data):], change)
		}
		data = data[:min(len(data), int(length))]
		read := func(data, wal []byte) {
			root := fsRoot{fstest.MapFS{"var/lib/rpm/" + name: {Data: data}, "var/lib/rpm/" + name + walSuffix: {Data: wal}}}
			_, _ = readRPM(root)
			_ = ownersRPM(root, func(Owner, string) {})
		}
		read(data, nil)
		read(good[name], data)
		read(data, wal)
	})
}

func FuzzHeader(f *testing.F) {
	if err := bdbBlobs(testdata(f, "Packages.gz"), func(h []byte) error { f.Add(h); return nil }); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, header []byte) { _, _ = parseHeader(header) })
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{dpkgStatus, apkInstalled, "iana-etc-1:2024-1", xbpsPackage} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found := append(parseDpkg(text), parseApk(text)...)
		xbps, _ := parseXbps(text)
		folder, _ := parsePacman(text)
		for _, o := range xbps {
			found = append(found, o.Package)
		}
		for _, p := range append(found, folder) {
			if len(printable(p.Name)) > 3*maxWord {
				t.Errorf("a name of %d bytes", len(p.Name))
			}
		}
	})
}

// FuzzOwners has one text be all that the databases of text say.
func FuzzOwners(f *testing.F) {
	for _, seed := range []string{dpkgStatus, apkInstalled, xbpsPackage, "/a\n/b\nc\n", "%FILES%\na\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root := fsRoot{files("var/lib/dpkg/status", text, dpkgInfo+"/bash.list", text, dpkgDiversions, text, "lib/apk/db/installed", text,
			"var/lib/pacman/local/a-1-1/files", text, "var/lib/pacman/local/a-1-1/desc", text, xbpsDir+"/pkgdb-0.38.plist", text, xbpsDir+"/.bash"+xbpsFiles, text)}
		_ = Owners(root, func(o Owner, path string) {
			if path == "" || path[0] == '/' || len(o.Source) > 3*maxWord {
				t.Errorf("%q of %q", path, o.Source)
			}
		})
	})
}

// FuzzOrder: what is older one way is newer the other.
func FuzzOrder(f *testing.F) {
	f.Add("1:2.3~rc1-4", "1:2.3-4")
	f.Add("1.0_alpha2-r1", "1.0^a.b")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, system := range []System{Dpkg, Apk, Pacman, Xbps, RPM} {
			if x, y := order(system, a, b), order(system, b, a); x != -y || order(system, a, a) != 0 {
				t.Errorf("%s: %q and %q: %d and %d", system, a, b, x, y)
			}
		}
	})
}
