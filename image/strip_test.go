package image

import (
	"archive/tar"
	"bytes"
	"io"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unpacked lists what GNU tar makes of a tar.
func unpacked(t *testing.T, data []byte, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("tar", append([]string{"-p", "--numeric-owner", "-C", dir, "-x"}, args...)...)
	cmd.Stdin = bytes.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	out, err := exec.Command("sh", "-c", `cd "$1" && find . ! -path . -printf '%p %y %m %n %s %l %T@\n' | sort && find . -type f -exec sha256sum {} + | sort -k 2`, "-", dir).Output()
	check(t, err)
	return string(out)
}

// nested packs a root file system below a folder, in one of tar's formats.
func nested(t *testing.T, format string) []byte {
	t.Helper()
	dir := t.TempDir()
	check(t, exec.Command("sh", "-ec", `cd "$1"; mkdir -p root.x86_64/etc root.x86_64/usr/bin; echo a > root.x86_64/etc/a; echo readme > README
		ln root.x86_64/etc/a root.x86_64/usr/bin/b; ln -s ../etc/a root.x86_64/usr/c; chmod 4711 root.x86_64/etc/a
		echo x > root.x86_64/sparse; truncate -s 300000 root.x86_64/sparse; echo y >> root.x86_64/sparse
		mkdir -p "root.x86_64/$(printf '%0150d' 1)"; echo z > "root.x86_64/$(printf '%0150d' 1)/$(printf '%0150d' 2)"; mkdir -m 1777 root.x86_64/tmp
		find . -exec touch -h -d @1600000000 {} +`, "-", dir).Run())
	data, err := exec.Command("tar", "-C", dir, "--format="+format, "-S", "-c", "root.x86_64").Output()
	check(t, err)
	return data
}

// A root file system below a folder: what it is below is said, and strip takes
// it off as tar does.
func TestStrip(t *testing.T) {
	for _, format := range []string{"gnu", "pax"} {
		data := nested(t, format)
		for name, file := range map[string][]byte{"plain": data, "zst": zst(t, data)} {
			t.Run(format+" "+name, func(t *testing.T) {
				src := ArchivePlace{Path: writeFile(t, t.TempDir()+"/x", string(file))}
				_, err := OpenArchive(t.Context(), src, quick())
				wantError[*UnsupportedError](t, err, "all that is in it lies below root.x86_64/", "set strip = 1")

				src.Strip = 1
				img, err := OpenArchive(t.Context(), src, quick())
				check(t, err)
				got, err := readLayers(img)
				check(t, err)
				if diff := cmp.Diff(unpacked(t, data, "--strip-components=1"), unpacked(t, got[0])); diff != "" {
					t.Errorf("tar (-) and strip (+):\n%s", diff)
				}
				again, err := OpenArchive(t.Context(), src, quick())
				check(t, err)
				if again.Digest != img.Digest || img.Digest == sum(file) || img.Digest != img.Layers[0].DiffID {
					t.Errorf("digests %s, %s", img.Digest, again.Digest)
				}
			})
		}
	}
}

func TestStripRefuses(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	check(t, w.WriteHeader(&tar.Header{Name: "a/b/c", Typeflag: tar.TypeLink, Linkname: "a"}))
	check(t, w.Close())
	path := writeFile(t, t.TempDir()+"/x", b.String())
	_, err := OpenArchive(t.Context(), ArchivePlace{Path: path, Strip: 1}, quick())
	wantWords(t, err, `entry "a/b/c"`, "take a smaller strip")
	_, err = OpenArchive(t.Context(), ArchivePlace{Path: t.TempDir(), Strip: 1}, quick())
	wantWords(t, err, "leave strip out")

	// Reading may end anywhere.
	img, err := OpenArchive(t.Context(), ArchivePlace{Path: writeFile(t, t.TempDir()+"/y", string(nested(t, "gnu"))), Strip: 1}, quick())
	check(t, err)
	rc, err := img.Layers[0].Open(t.Context())
	check(t, err)
	_, err = io.ReadFull(rc, make([]byte, 600))
	check(t, err)
	check(t, rc.Close())
}
