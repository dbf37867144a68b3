package initramfs_test

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// An entry is one file of a layer made by a test; a name with a slash at its
// end is a directory.
type entry struct {
	name, data, link string
	mode             int64
	whiteout, opaque bool
}

// squash makes a squashfs of entries, as the stage would.
func squash(t *testing.T, file string, entries ...entry) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: "./" + e.name, Typeflag: tar.TypeReg, Mode: e.mode, Size: int64(len(e.data)), Format: tar.FormatPAX}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		switch {
		case strings.HasSuffix(e.name, "/"):
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		case e.whiteout:
			h.Typeflag = tar.TypeChar
		}
		if e.opaque {
			h.PAXRecords = map[string]string{
				"SCHILY.xattr.security.ima":           "first",
				"SCHILY.xattr.security.selinux":       "second",
				"SCHILY.xattr.trusted.overlay.opaque": "y",
				"SCHILY.xattr.user.overlay.opaque":    "n",
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tar2sqfs", "-q", "-c", "zstd", "-X", "level=3", "-f", file)
	cmd.Stdin = &b
	run(t, cmd)
}

func squashDir(t *testing.T, file, dir string) {
	t.Helper()
	list := exec.Command("tar", "-C", dir, "--owner=0", "--group=0", "-c", ".")
	cmd := exec.Command("tar2sqfs", "-q", "-c", "zstd", "-X", "level=3", "-f", file)
	pipe, err := list.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = pipe
	if err := list.Start(); err != nil {
		t.Fatal(err)
	}
	run(t, cmd)
	if err := list.Wait(); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("running %s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func buildInit(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gitboot-init")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "github.com/gitboot/gitboot/cmd/gitboot-init")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, cmd)
	return file
}

// debianPackage returns a folder with a package's files, unpacked once and
// kept in GITBOOT_TEST_CACHE or the user's cache folder. Of a package that
// only names the current kernel, it is the kernel's.
func debianPackage(t *testing.T, name string) string {
	t.Helper()
	cache := os.Getenv("GITBOOT_TEST_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		need.Done(t, err)
		cache = filepath.Join(user, "gitboot-test")
	}
	out, err := exec.Command("apt-cache", "depends", name).Output()
	need.Done(t, err)
	if m := regexp.MustCompile(`Depends: (linux-image-[0-9]\S+)`).FindSubmatch(out); m != nil {
		name = string(m[1])
	}
	dir := filepath.Join(cache, "deb", name)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	get := exec.Command("apt-get", "download", name)
	get.Dir = temp
	out, err = get.CombinedOutput()
	need.Done(t, err, out)
	debs, _ := filepath.Glob(filepath.Join(temp, "*.deb"))
	run(t, exec.Command("dpkg-deb", "-x", debs[0], filepath.Join(temp, "root")))
	if err := os.Rename(filepath.Join(temp, "root"), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
