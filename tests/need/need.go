// Package need says what a test needs. make test-short runs without root and
// without anything installed, so there a test that needs more is skipped; make
// test has installed everything by tests/deps.sh, so there a skip would hide
// that something lacks, and the test fails instead.
package need

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Long skips a test that -short has no time for.
func Long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long, which -short leaves out")
	}
}

// Root skips a test that mounts, gives files away or runs containers.
func Root(t testing.TB) {
	t.Helper()
	Long(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// Program returns where a program is. It looks where root's programs are, too,
// which are not in the PATH of all who become root.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	Done(t, err)
	return path
}

// Programs is for those that the test, or what it tests, finds in PATH.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		Program(t, name)
	}
}

// Done fails a test for which something could not be made, mounted or fetched;
// with -short it is skipped.
func Done(t testing.TB, err error, output ...[]byte) {
	t.Helper()
	switch {
	case err == nil:
	case testing.Short():
		t.Skip(err)
	default:
		t.Fatalf("%v; run tests/deps.sh test\n%s", err, output)
	}
}

// Filesystem makes a file system in the file point+".image", by the program mkfs
// with its arguments, and mounts it on the folder point until the test ends.
func Filesystem(t testing.TB, point string, size int64, options string, mkfs ...string) {
	t.Helper()
	Root(t)
	image := point + ".image"
	err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size), os.MkdirAll(point, 0o755))
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		append(append([]string{Program(t, mkfs[0])}, mkfs[1:]...), image),
		{"mount", "-o", "loop," + options, image, point},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", point).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", point, err, out)
		}
	})
}
