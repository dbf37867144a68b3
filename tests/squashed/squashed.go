// Package squashed makes the squashfs objects that tests of readers begin with, of tars that
// need not be a layer's.
package squashed

import (
	"io"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// File squashes a tar by the program that the stage has, with its compression, into a file
// that goes with the test.
func File(t testing.TB, tar io.Reader) (path string) {
	t.Helper()
	return By(t, "zstd", tar)
}

// By does so with another compression, as tar2sqfs names it.
func By(t testing.TB, compression string, tar io.Reader) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "object")
	cmd := exec.Command(need.Program(t, "tar2sqfs"), "-q", "-c", compression, path)
	if compression == "zstd" {
		cmd.Args = append(cmd.Args[:len(cmd.Args)-1], "-X", "level=1", path)
	}
	cmd.Stdin = tar
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tar2sqfs: %v\n%s", err, out)
	}
	return path
}
