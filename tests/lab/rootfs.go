package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A Kind is a recipe for a root file system with a kernel.
type Kind string

// The root file systems that tests boot. All but BookwormGeneric use Debian's
// cloud kernel, which has drivers for virtio and NVMe (Debian 13's also for
// AHCI).
const (
	// Bookworm is Debian 12 with systemd and what gitboot needs to run in it;
	// modules are plain .ko files.
	Bookworm Kind = "bookworm"
	// BookwormSysV is Debian 12 with sysvinit.
	BookwormSysV Kind = "bookworm-sysv"
	// BookwormGeneric is Debian 12 with systemd and the kernel for real
	// hardware, which has some 4,000 modules.
	BookwormGeneric Kind = "bookworm-generic"
	// BookwormStorage is Bookworm with lvm2, cryptsetup and mdadm besides.
	BookwormStorage Kind = "bookworm-storage"
	// BookwormServices is Debian 12 without a kernel, but with everything that
	// built-in hooks write configuration for.
	BookwormServices Kind = "bookworm-services"
	// BookwormARM64 is Debian 12 for arm64, unpacked and not set up: no program of it ran,
	// which another kind of computer could not execute.
	BookwormARM64 Kind = "bookworm-arm64"
	// GenericARM64 is the same with the kernel for real hardware, boards among it.
	GenericARM64 Kind = "bookworm-arm64-generic"
	// SystemdARM64 is Bookworm for arm64, which an interpreter has set up.
	SystemdARM64 Kind = "bookworm-arm64-systemd"
	// Trixie is Debian 13 with systemd; modules are .ko.xz files.
	Trixie Kind = "trixie"
)

type recipe struct {
	// arch is Debian's name of an architecture, "" for this computer's; setUp says that
	// programs for it are executed, too, and not only unpacked.
	suite, arch string
	setUp       bool
	packages    []string
	hooks       []string // mmdebstrap's --…-hook arguments
}

func (k Kind) recipe() (recipe, error) {
	common := []string{"linux-image-cloud-amd64", "udev", "kmod"}
	if k == BookwormGeneric {
		common[0] = "linux-image-amd64"
	}
	switch k {
	case Bookworm, BookwormGeneric: // dbus is how the login manager is asked, libpam-systemd what tells it of sessions
		return recipe{suite: "bookworm", packages: append(common, "systemd-sysv", "dbus", "libpam-systemd", "squashfs-tools-ng")}, nil
	case BookwormStorage:
		return recipe{suite: "bookworm", packages: append(common, "systemd-sysv", "dbus", "squashfs-tools-ng", "lvm2", "cryptsetup-bin", "mdadm")}, nil
	case BookwormSysV:
		return recipe{suite: "bookworm", packages: append(common, "sysvinit-core")}, nil
	case BookwormServices:
		return recipe{suite: "bookworm", packages: []string{"ifupdown", "kmod", "network-manager", "procps", "systemd-sysv", "tzdata", "udev"}}, nil
	case BookwormARM64:
		return recipe{suite: "bookworm", arch: "arm64", packages: []string{"linux-image-cloud-arm64", "busybox-static"}}, nil
	case GenericARM64:
		return recipe{suite: "bookworm", arch: "arm64", packages: []string{"linux-image-arm64", "busybox-static"}}, nil
	case SystemdARM64:
		return recipe{suite: "bookworm", arch: "arm64", setUp: true, hooks: []string{noInitrd},
			packages: []string{"linux-image-cloud-arm64", "udev", "kmod", "systemd-sysv", "dbus", "libpam-systemd", "squashfs-tools-ng"}}, nil
	case Trixie:
		return recipe{suite: "trixie", packages: append(common, "systemd-sysv")}, nil
	}
	return recipe{}, fmt.Errorf("there is no recipe for the root file system %q", k)
}

// noInitrd keeps Debian's initrd from being made, which nobody boots: emulated, it takes
// most of the time.
const noInitrd = `--essential-hook=chroot "$1" dpkg-divert --quiet --local --rename --add /usr/sbin/update-initramfs && ln -s /bin/true "$1/usr/sbin/update-initramfs"`

// args returns mmdebstrap's arguments but for the output. The mirror is
// mmdebstrap's choice, from this computer's apt configuration, unless
// GITBOOT_MIRROR names one.
func (r recipe) args() []string {
	slices.Sort(r.packages)
	args := []string{"--variant=minbase"}
	if r.arch != "" {
		if !r.setUp {
			args[0] = "--variant=extract"
		}
		args = append(args, "--architectures="+r.arch, "--skip=check/qemu")
	}
	args = append(args, "--format=tar", "--quiet",
		"--include="+strings.Join(r.packages, ","),
		"--aptopt=Acquire::Retries \"3\"",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
	)
	return append(append(args, r.hooks...), r.suite)
}

// RootFS returns the path of an uncompressed tar of the root file system. It
// makes one if the cache has none, which needs root and a Debian mirror.
func RootFS(ctx context.Context, kind Kind) (string, error) {
	r, err := kind.recipe()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(r.args(), "\x00")))
	name := "rootfs-" + string(kind) + "-" + hex.EncodeToString(sum[:6]) + ".tar"
	path, err := cached(ctx, name, func(temp string) error { return makeRootFS(ctx, r, temp) })
	if err != nil {
		return "", fmt.Errorf("make the root file system %s: %w", kind, err)
	}
	return path, nil
}

func makeRootFS(ctx context.Context, r recipe, path string) error {
	args := append(r.args(), path)
	if mirror := os.Getenv("GITBOOT_MIRROR"); mirror != "" {
		args = append(args, mirror)
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", args...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	if r.setUp {
		if err := ExecutesARM64(cmd); err != nil {
			return err
		}
	}
	if _, err := output(cmd); err != nil {
		return fmt.Errorf("%w; it needs a Debian mirror: set http_proxy, or GITBOOT_MIRROR to one that is reachable", err)
	}
	return nil
}
