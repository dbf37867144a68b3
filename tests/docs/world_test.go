package docs

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// buildOnce builds gitboot for all tests of this package.
var buildOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gitboot-docs-")
	if err != nil {
		return "", err
	}
	return lab.Build(background, dir)
})

// built returns the path of gitboot.
func built(t *testing.T) string {
	t.Helper()
	path, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// registryName is what the pages call the registry.
const registryName = "registry.lan:5000"

// A world is what a page's commands find: gitboot on the PATH with the agent's
// file of a machine called laptop, a registry with a small image, a folder with
// nothing in it but the examples. It needs no root: gitboot is told where the stage lies.
type world struct {
	home  string
	stage string
	// addr is the registry's address, for registryName.
	addr string
	env  []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	need.Programs(t, "tar2sqfs", "git", "bash")
	dir := t.TempDir()
	w := &world{home: filepath.Join(dir, "home"), stage: filepath.Join(dir, "var/gitboot")}
	for _, sub := range []string{"home", "bin", "grub", "var"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(w.home, "examples"), os.DirFS(filepath.Join(root, "examples"))); err != nil {
		t.Fatal(err)
	}
	w.addr = pushImage(t, dir)
	write(t, filepath.Join(dir, "agent.toml"), fmt.Sprintf(`
		machine = "laptop"
		repo = %q
		stage = %q
		boot = %q
		stage_location = "UUID=0000-0000:/gitboot"`,
		filepath.Join(w.home, "fleet"), w.stage, filepath.Join(dir, "grub")))
	write(t, filepath.Join(dir, "bin/gitboot"), fmt.Sprintf("#!/bin/sh\nexec %s --config %s \"$@\"\n", built(t), filepath.Join(dir, "agent.toml")))
	w.env = append(os.Environ(), "HOME="+w.home, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org")
	write(t, filepath.Join(w.home, ".gitconfig"), "[init]\ndefaultBranch = main\n[advice]\ndefaultBranchName = false\n")
	return w
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// pushImage serves desktop:stable: two layers that are no Debian, but have all
// that staging looks at.
func pushImage(t *testing.T, dir string) (addr string) {
	t.Helper()
	registry, err := lab.NewRegistry(filepath.Join(dir, "registry"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Close() })
	const release = "6.1.0-doc"
	kernelConfig := ""
	for _, option := range []string{"BLK_DEV_INITRD", "BLK_DEV_LOOP", "DEVTMPFS", "OVERLAY_FS", "RD_ZSTD", "SQUASHFS", "SQUASHFS_XATTR", "SQUASHFS_ZSTD", "TMPFS"} {
		kernelConfig += "CONFIG_" + option + "=y\n"
	}
	lower, upper := filepath.Join(dir, "lower.tar"), filepath.Join(dir, "upper.tar")
	writeTar(t, lower, map[string]string{
		"boot/vmlinuz-" + release: strings.Repeat("kernel ", 1000),
		"boot/config-" + release:  kernelConfig,
		"sbin/init":               "an init",
		"lib/modules/" + release + "/modules.builtin": "kernel/drivers/block/loop.ko\nkernel/fs/squashfs/squashfs.ko\n" +
			"kernel/fs/overlayfs/overlay.ko\nkernel/fs/ext4/ext4.ko\n",
	})
	writeTar(t, upper, map[string]string{"etc/motd": "a desktop\n"})
	if _, _, err := registry.Push(t.Context(), "desktop:stable", nil, lab.Layer{Path: lower}, lab.Layer{Path: upper}); err != nil {
		t.Fatal(err)
	}
	return registry.Addr
}

func writeTar(t *testing.T, path string, files map[string]string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
