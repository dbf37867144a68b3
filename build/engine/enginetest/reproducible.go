package enginetest

import (
	"archive/tar"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

// churn is what installing software does to a root file system: files in no
// order, cached byte code, folders that lose and gain entries, links, modes,
// what is removed and what takes its place.
const churn = `#!/bin/busybox sh
set -e
busybox mkdir -p /usr/lib/python3/__pycache__ "/usr/share/a name" /var/lib/dpkg/info /opt/deep/er/still
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	( echo "module $i" > /usr/lib/python3/m$i.py; echo "code $i" > /usr/lib/python3/__pycache__/m$i.cpython-311.pyc; echo $i > /var/lib/dpkg/info/p$i.list ) &
done
wait
busybox cp -r data /usr/share/data
busybox ln /usr/lib/python3/m1.py /usr/lib/python3/hard.py
busybox ln -s m2.py /usr/lib/python3/soft.py
busybox mknod /opt/pipe p
busybox dd if=/dev/zero of=/opt/sparse bs=1 count=1 seek=1000000 2>/dev/null
busybox chmod 4755 /usr/lib/python3/m3.py
busybox chown 12:34 /var/lib/dpkg/info/p4.list
echo "root:x:0:0" > /etc/passwd.new && busybox mv /etc/passwd.new /etc/passwd
busybox touch /etc /tmp /root
`

// undo changes what lower layers hold.
const undo = `busybox rm -r /opt/deep /usr/lib/python3/m5.py && busybox rm -r /var/lib/dpkg/info && busybox mkdir /var/lib/dpkg/info && echo new > /var/lib/dpkg/info/p1.list && busybox chmod 700 /usr/lib/python3 && echo more >> /etc/passwd`

// A rebuild without cache of what has not changed gives the same layers, though
// every file is made anew, at another time and in another order.
func testReproducible(t *testing.T, e Tested, base engine.Image) {
	r := recipe.Recipe{
		FS: recipetest.Repo(map[string]string{
			"r/script": churn, "r/data/one": "1", "r/data/two/three": "3", "etc/motd": "hello",
			"f": "ARG GITBOOT_FROM\nFROM $GITBOOT_FROM AS made\nRUN mkdir -p /out/lib && echo lib > /out/lib/x\nFROM $GITBOOT_FROM\nCOPY --from=made /out /usr/local/new/\nCOPY r/data /srv/not/yet/there/\n",
		}),
		Containerfiles: []string{"f"}, Recipe: "r", Copy: []recipe.Copy{{From: "etc", To: "/etc/defaults"}}, Run: []string{undo}, RootfsFixes: true,
	}
	first := Built(t, e, r, engine.Options{Base: base.ID, NoCache: true})
	again := Built(t, e, r, engine.Options{Base: base.ID, NoCache: true})
	if first.Digest == again.Digest && first.Content == again.Content {
		return
	}
	t.Errorf("two builds without cache differ: %+v %+v", first, again)
	for i := range first.Layers {
		one, two := headers(t, first.Layers[i]), headers(t, again.Layers[i])
		for _, line := range slices.Sorted(maps.Keys(one)) {
			if !two[line] {
				t.Logf("layer %d, only in the first: %s", i, line)
			}
		}
		for _, line := range slices.Sorted(maps.Keys(two)) {
			if !one[line] {
				t.Logf("layer %d, only in the second: %s", i, line)
			}
		}
	}
}

// headers tells what is in a layer, a line for each entry.
func headers(t *testing.T, l engine.Layer) map[string]bool {
	t.Helper()
	r, err := l.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	out := map[string]bool{}
	archive := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := archive.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprintf("%d %s %c %o %d:%d %v %s %q %s", n, h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime.UTC(), h.Linkname, h.PAXRecords, oci.Digest(content))] = true
	}
}
