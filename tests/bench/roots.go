package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/lab"
)

// peerRoot unpacks a Debian root file system with packages below the site's
// folder, where they are run by chroot: initramfs-tools and dracut cannot both
// be installed, and either would change how this computer boots. Kernels and
// modules come from the tar of another root file system, so that all make an
// initramfs for the same kernel.
func (s *site) peerRoot(ctx context.Context, name string, packages []string, kernelFrom string) (string, error) {
	tarball, err := peerTar(ctx, packages)
	if err != nil {
		return "", err
	}
	root := s.path(name)
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", err
	}
	if _, err := lab.Run(ctx, "tar", "-C", root, "-xpf", tarball); err != nil {
		return "", err
	}
	// GNU tar follows the link /lib only if it is there already: it is.
	_, err = lab.Run(ctx, "tar", "-C", root, "-xpf", kernelFrom, "--keep-directory-symlink", "--wildcards",
		"./boot/vmlinuz-*", "./boot/config-*", "./boot/System.map-*", "*lib/modules/*")
	if err != nil {
		return "", err
	}
	proc := filepath.Join(root, "proc")
	if err := unix.Mount("proc", proc, "proc", 0, ""); err != nil {
		return "", fmt.Errorf("mount %s: %w", proc, err)
	}
	s.undo = append(s.undo, func() error { return unix.Unmount(proc, 0) })
	return root, nil
}

// peerTar makes the root file system's tar if the cache has none.
func peerTar(ctx context.Context, packages []string) (string, error) {
	cache, err := lab.CacheDir()
	if err != nil {
		return "", err
	}
	args := []string{
		"--variant=minbase", "--format=tar", "--quiet", "--aptopt=Acquire::Retries \"3\"",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--include=" + strings.Join(append(packages, "kmod", "systemd-sysv", "udev", "zstd"), ","), "bookworm",
	}
	sum := sha256.Sum256([]byte(strings.Join(args, "\x00")))
	path := filepath.Join(cache, "rootfs-peer-"+hex.EncodeToString(sum[:6])+".tar")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	temp := path + ".tmp"
	defer os.Remove(temp)
	args = append(args, temp)
	if mirror := os.Getenv("GITBOOT_MIRROR"); mirror != "" {
		args = append(args, mirror)
	}
	if _, err := lab.Run(ctx, "mmdebstrap", args...); err != nil {
		return "", err
	}
	return path, os.Rename(temp, path)
}

// kernelVersion is that of the only kernel in a root.
func kernelVersion(root string) (string, error) {
	found, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || len(found) != 1 {
		return "", errors.Join(err, fmt.Errorf("%s/boot has %d kernels instead of one", root, len(found)))
	}
	return strings.TrimPrefix(filepath.Base(found[0]), "vmlinuz-"), nil
}
