package stage

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

// A step makes one layer: shell commands in an empty directory, which GNU tar
// then packs with args. hides are the paths below the image that the layer
// takes away before its own files come, as an unpacking engine would.
type step struct {
	script string
	args   []string
	hides  []string
}

func overlaySteps() map[string][]step {
	return map[string][]step{
		"whiteouts of files and directories": {
			{script: "mkdir -p a/b c; echo 1 > a/f; echo 2 > a/b/g; echo 3 > c/h"},
			{script: "mkdir a; touch a/.wh.f a/.wh.b; echo 4 > n", hides: []string{"a/f", "a/b"}},
		},
		"an opaque directory": {
			{script: "mkdir -p a/b; echo 1 > a/f; echo 2 > a/b/g"},
			{script: "mkdir a; echo 3 > a/new; touch a/.wh..wh..opq", hides: []string{"a/f", "a/b"}},
		},
		"a file between two directories": {
			{script: "mkdir a; echo 1 > a/f"},
			{script: "echo 2 > a", hides: []string{"a"}},
			{script: "mkdir a; echo 3 > a/g", hides: []string{"a"}},
		},
		"a directory removed and made again": {
			{script: "mkdir a; echo 1 > a/f"},
			{script: "mkdir a; touch .wh.a; echo 2 > a/g", hides: []string{"a"}},
		},
		"a whiteout between two directories": {
			{script: "mkdir a; echo 1 > a/f"},
			{script: "touch .wh.a", hides: []string{"a"}},
			{script: "mkdir a; echo 2 > a/g"},
		},
		"a directory becomes a link and comes back": {
			{script: "mkdir -p usr/lib lib; echo 1 > lib/f"},
			{script: "mkdir usr; ln -s usr/lib lib", hides: []string{"lib"}},
			{script: "mkdir lib; echo 2 > lib/g", hides: []string{"lib"}},
		},
		"owners and modes and devices and attributes": {
			{script: "echo 1 > f; chmod 4755 f; chown 12:34 f; mknod z c 1 5; mknod y b 7 0; mkfifo p; ln f g; ln -s /abs s;" +
				"mkdir -m 1777 tmp; chmod 0711 .; setfattr -n user.k -v v f; setfattr -n trusted.k -v w tmp; setfattr -n security.k -v x f"},
			{script: "chmod 0711 .; echo 2 > h; ln h i; ln -s x s2; ln s2 s3; touch .wh.z", hides: []string{"z"}},
		},
		"folders that only a lower layer has entries of": {
			{script: "mkdir -p -m 1777 tmp; mkdir -m 700 root; mkdir -p home/ada/x; chown -R 1000:1000 home/ada; chmod 1750 home/ada/x;" +
				"setfattr -n user.k -v v home/ada; setfattr -n trusted.k -v w tmp; touch -d @1600000000 root"},
			{script: "mkdir -p tmp root home/ada/x/y; echo 1 > tmp/a; echo 2 > root/b; echo 3 > home/ada/x/y/c; echo 4 > d",
				args: []string{"tmp/a", "root/b", "home/ada/x/y/c", "d"}},
			{script: "mkdir -p home/ada/x; echo 5 > home/ada/x/e", args: []string{"home/ada/x/e"}},
		},
		"folders of a layer below the next removed and made again": {
			{script: "mkdir -m 700 a; mkdir -m 711 a/b; echo 1 > a/b/f"},
			{script: "mkdir -m 750 a; mkdir -m 705 a/b; touch .wh.a; echo 2 > a/b/g", hides: []string{"a"}},
			{script: "mkdir -p a/b; echo 3 > a/b/h; touch a/.wh.x", args: []string{"a/b/h", "a/.wh.x"}},
		},
		"a folder where a lower layer has a link": {
			{script: "mkdir -p -m 711 usr; mkdir -m 750 usr/lib; echo 1 > usr/lib/f; ln -s usr/lib lib"},
			{script: "mkdir -p lib/d; echo 2 > lib/g; echo 3 > lib/d/h; touch lib/.wh.f", args: []string{"lib/g", "lib/d/h", "lib/.wh.f"}, hides: []string{"usr/lib/f"}},
		},
		"directories after their content": {
			{script: "mkdir -p a/b; chmod 700 a a/b; echo 1 > a/b/f", args: []string{"--no-recursion", "a/b/f", "a/b", "a", "."}},
		},
	}
}

// A booted image must look as if its layers had been unpacked over each other
// by GNU tar.
func TestLayersMountAsTheyUnpack(t *testing.T) {
	need.Root(t)
	needTar2sqfs(t)
	for name, steps := range overlaySteps() {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			unpacked := t.TempDir()
			var layers [][]byte
			for _, st := range steps {
				data := pack(t, st)
				unpack(t, unpacked, data, st.hides)
				layers = append(layers, data)
			}
			got, want := snapshot(t, mountLayers(t, s, layers)), snapshot(t, unpacked)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("unpacked (-) and mounted (+):\n%s", diff)
			}
		})
	}
}

// mountLayers stages layers and mounts them over each other.
func mountLayers(t *testing.T, s *Stage, layers [][]byte) string {
	t.Helper()
	objects, err := s.AddLayers(t.Context(), sources(layers), 2)
	if err != nil {
		t.Fatal(err)
	}
	var mounts []string
	for _, o := range objects {
		mounts = append(mounts, mountSquashfs(t, s.ObjectPath(o)))
	}
	return overlay(t, mounts)
}

func pack(t *testing.T, st step) []byte {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("sh", "-ec", "chmod 755 .; "+st.script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	need.Done(t, err, out)
	args := []string{"--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", dir, "-c"}
	if st.args == nil {
		args = append(args, ".")
	}
	data, err := exec.Command("tar", append(args, st.args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func unpack(t *testing.T, dir string, data []byte, hides []string) {
	t.Helper()
	for _, path := range hides {
		if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-p", "-C", dir, "-x", "--exclude=.wh.*", "-f", "-")
	cmd.Stdin = strings.NewReader(string(data))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
}

func mountSquashfs(t *testing.T, image string) string {
	t.Helper()
	point := t.TempDir()
	run(t, "mount", "-t", "squashfs", "-o", "loop,ro", image, point)
	t.Cleanup(func() {
		if err := unix.Unmount(point, 0); err != nil {
			t.Error(err)
		}
	})
	return point
}

// overlay mounts layers, lowest first, below a fresh tmpfs, as the booted
// machine has them.
func overlay(t *testing.T, lowers []string) string {
	t.Helper()
	base, point := t.TempDir(), t.TempDir()
	mount := func(kind, point, options string) {
		if err := unix.Mount(kind, point, kind, 0, options); err != nil {
			t.Fatalf("mount %s with %s: %v", kind, options, err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(point, 0); err != nil {
				t.Error(err)
			}
		})
	}
	mount("tmpfs", base, "mode=755")
	for _, dir := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	slices.Reverse(lowers)
	// The upper directory gives the root its attributes: only lowers here.
	if len(lowers) == 1 {
		lowers = append(lowers, filepath.Join(base, "work"))
	}
	mount("overlay", point, "lowerdir="+strings.Join(lowers, ":"))
	return point
}

// snapshot describes everything below dir.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		stat := run(t, "stat", "-c", "%F %a %u:%g %t:%T", path)
		if !d.IsDir() {
			stat += run(t, "stat", "-c", "%h", path)
		}
		switch {
		case d.Type().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			stat += string(content)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			stat += target
		}
		if d.Type().IsRegular() || d.IsDir() {
			stat += run(t, "sh", "-c", `getfattr -d -m - -e text "$1" 2>/dev/null | grep -v '^#' | sort; true`, "-", path)
		}
		all[name] = stat
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
