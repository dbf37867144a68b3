#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that gitboot's demo, tests and
# benchmarks use, those that lack. When nothing lacks it needs neither root nor
# the network, and takes a moment.
#
#   tests/deps.sh demo|test|bench     install what that target needs
#   tests/deps.sh --list [GROUP]      print the table below
#
# A group holds those before it: demo < test < bench.
#
# Nothing here changes how this computer boots: of GRUB only the -bin packages
# and tools come, never grub-pc or grub-efi-amd64, whose installation scripts
# write to disks. No service is left enabled.
set -euo pipefail

table() {
	# group  package             why
	cat <<-'END'
	demo   make                  runs the targets
	demo   git                   config repos are git repos
	demo   squashfs-tools-ng     tar2sqfs turns layers into squashfs objects
	demo   mmdebstrap            makes the root file systems
	demo   debian-archive-keyring  verifies what mmdebstrap downloads
	demo   xz-utils              mmdebstrap unpacks packages with it
	demo   zstd                  mmdebstrap unpacks packages with it
	demo   qemu-system-x86       the machine that boots
	demo   ovmf                  its UEFI firmware
	demo   grub-common           grub-mkimage, grub-editenv, grub-probe
	demo   grub2-common          grub-install
	demo   grub-pc-bin           GRUB for BIOS
	demo   grub-efi-amd64-bin    GRUB for UEFI
	demo   fdisk                 sfdisk partitions disk images
	demo   e2fsprogs             mkfs.ext4
	demo   dosfstools            mkfs.vfat for the EFI system partition
	demo   mtools                fills it without mounting it
	demo   mount                 mounts disk images
	demo   util-linux            losetup, findmnt, flock, unshare
	test   xfsprogs              stages on xfs
	test   btrfs-progs           stages on btrfs, where GRUB cannot write
	test   f2fs-tools            f2fs with features that GRUB cannot read
	test   qemu-system-common    records what is written to a disk: qemu-storage-daemon
	test   fuse3                 shows its disk as a file
	test   qemu-system-arm       the arm64 machine that boots
	test   qemu-efi-aarch64      its UEFI firmware
	test   grub-efi-arm64-bin:arm64  GRUB for it; files alone, nothing of them is executed
	test   u-boot-qemu           U-Boot for it
	test   qemu-user-static      executes programs of it: steps of an image for another architecture
	demo   systemd-boot-efi      systemd-boot itself, which boots by UEFI
	test   systemd-boot-efi:arm64  the same for arm64; files alone, nothing of them is executed
	demo   efitools              signs what firmware is told to trust
	test   sbsigntool            a second opinion on signatures of boot images
	test   shim-signed           has firmware with Microsoft's keys start GRUB
	test   grub-efi-amd64-signed  the GRUB that it starts
	test   binutils              objcopy, a second opinion on their sections
	test   grub-emu              GRUB itself reads the menu
	test   squashfs-tools        unsquashfs, a second opinion on our objects
	test   lvm2                  volume groups as people make them, and a second opinion on their headers
	test   mdadm                 arrays likewise
	test   gdisk                 sgdisk, a second opinion on partition tables
	test   qemu-utils            qemu-img writes disks as qcow2
	demo   xorriso               writes installation media
	test   kmod                  depmod and modinfo, a second opinion on modules
	test   cryptsetup-bin        veritysetup, a second opinion on hash trees
	test   swtpm                 a TPM in software
	test   libtss2-tcti-swtpm0   systemd-cryptenroll's way to it
	test   libtss2-esys-3.0.2-0  what it speaks to it with
	test   libtss2-rc0           likewise
	test   cpio                  a second opinion on the initramfs
	demo   busybox-static        an installation medium's shell, a small root file system
	test   libcap2-bin           setcap, capabilities in layers
	test   attr                  setfattr, extended attributes in layers
	test   openssh-server        git over ssh, to a server of the test's own
	test   openssh-client        ssh-keygen, for keys and signatures
	test   gnupg                 signs commits the other way
	test   buildah               builds images
	test   debootstrap           makes a base, as the examples do
	test   podman                builds images, too
	test   docker.io             builds images, too: its daemon, run by the tests
	test   runc                  executes the steps of the tests' BuildKit daemon
	test   openssl               makes password hashes as people do
	test   age                   reads what we encrypt, and we what it does
	test   iproute2              ip, a network of its own for systemd-networkd
	test   systemd               systemctl, which the test of units asks; busctl, which tells desktops
	test   dbus-daemon           a desktop's message bus
	test   avahi-daemon          finds machines of a network its own way, and is found by ours
	test   avahi-utils           asks it
	test   curl                  asks the agent's addresses, as senders of webhooks do
	test   chromium-headless-shell  looks at the agent's page
	test   fonts-dejavu-core     what it writes there with
	test   docker-registry       asks who pushes and pulls, and tells webhooks of it
	test   prometheus            promtool, a second opinion on metrics and alerts
	test   strace                shows that an unchanged run writes nothing
	test   systemd-container     systemd-nspawn boots a system with the package in it
	test   rpm                   installs the RPM package
	test   pacman-package-manager  installs the Arch package
	test   umoci                 unpacks images as other clients do, and Darch
	test   skopeo                pulls images as other clients do, and Darch
	bench  ostree                peer: deploys a small change
	END
}

# members prints the packages of the groups up to and including $1.
members() {
	case $1 in
	demo) table | awk '$1 == "demo" { print $2 }' ;;
	test) table | awk '$1 != "bench" { print $2 }' ;;
	bench) table | awk '{ print $2 }' ;;
	*)
		echo "deps.sh: no group \"$1\"; there are demo, test and bench" >&2
		exit 2
		;;
	esac
}

# lacking prints those of its arguments that are not installed, with an architecture
# or without.
lacking() {
	local have
	have=" $(dpkg-query -W -f '${db:Status-Status} ${Package} ${Package}:${Architecture}\n' "$@" 2>/dev/null |
		awk '$1 == "installed" { print $2, $3 }' | tr '\n' ' ' || true)"
	local p
	for p in "$@"; do
		[[ $have == *" $p "* ]] || echo "$p"
	done
}

# install_packages installs its arguments and leaves no new service running or
# enabled. A policy-rc.d that is already there is obeyed and kept.
install_packages() {
	local policy=/usr/sbin/policy-rc.d
	if [[ ! -e $policy ]]; then
		trap "rm -f $policy" EXIT
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
	local apt=(apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
	if [[ " $* " == *:arm64\ * && " $(dpkg --print-architecture) $(dpkg --print-foreign-architectures | tr '\n' ' ') " != *" arm64 "* ]]; then
		dpkg --add-architecture arm64
	fi
	"${apt[@]}" update </dev/null ||
		echo "deps.sh: apt-get update reported errors; going on with the package lists there are" >&2
	"${apt[@]}" install -y --no-install-recommends -o Dpkg::Options::=--force-confold "$@" </dev/null
	if command -v systemctl >/dev/null; then
		if [[ " $* " == *" openssh-server "* ]]; then
			systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || true
		fi
		if [[ " $* " == *" avahi-daemon "* ]]; then
			systemctl disable --quiet avahi-daemon.service avahi-daemon.socket 2>/dev/null || true
		fi
		if [[ " $* " == *" docker-registry "* ]]; then
			systemctl disable --quiet docker-registry.service 2>/dev/null || true
		fi
		if [[ " $* " == *" prometheus "* ]]; then
			systemctl disable --quiet prometheus.service 2>/dev/null || true
		fi
		if [[ " $* " == *" docker.io "* ]]; then
			systemctl disable --quiet docker.service docker.socket containerd.service 2>/dev/null || true
		fi
	fi
}

# check_go ends with a word that helps if there is no Go that can build this
# source. Go 1.21 and newer fetch the release that go.mod names by themselves,
# unless GOTOOLCHAIN=local says otherwise, as some distributions' do.
check_go() {
	local root want have
	root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
	want=$(awk '$1 == "go" { print $2 }' "$root/go.mod")
	if ! command -v go >/dev/null; then
		echo "deps.sh: there is no Go in PATH; install Go $want or newer: https://go.dev/doc/install" >&2
		exit 1
	fi
	if ! have=$(cd "$root" && go env GOVERSION 2>&1); then
		echo "deps.sh: Go $want is needed: $have" >&2
		exit 1
	fi
	have=${have#go}
	if [[ $(printf '%s\n' "$want" "$have" | sort -V | head -n 1) != "$want" ]]; then
		echo "deps.sh: Go $have is too old, $want or newer is needed." >&2
		echo "deps.sh: with Go 1.21 or newer, GOTOOLCHAIN=auto fetches it; else install it: https://go.dev/doc/install" >&2
		exit 1
	fi
}

main() {
	if [[ ${1-} == --list ]]; then
		table | awk -v keep=" $(members "${2:-bench}" | tr '\n' ' ')" 'index(keep, " " $2 " ")'
		return
	fi
	if [[ $# -ne 1 ]]; then
		echo "usage: tests/deps.sh demo|test|bench | --list [GROUP]" >&2
		exit 2
	fi
	local packages missing
	packages=$(members "$1")
	check_go
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		echo "deps.sh: this is not a Debian or Ubuntu system; install the equivalents of these by hand:" >&2
		members "$1" >&2
		exit 1
	fi
	mapfile -t missing < <(lacking $packages)
	if ((${#missing[@]} == 0)); then
		return
	fi
	echo "deps.sh: installing what lacks for \"$1\": ${missing[*]}" >&2
	if ((EUID != 0)); then
		echo "deps.sh: only root can install packages; run: sudo tests/deps.sh $1" >&2
		exit 1
	fi
	install_packages "${missing[@]}" >&2
	mapfile -t missing < <(lacking "${missing[@]}")
	if ((${#missing[@]} > 0)); then
		echo "deps.sh: still not installed: ${missing[*]}; on Ubuntu enable \"universe\" (add-apt-repository universe)" >&2
		exit 1
	fi
}

main "$@"
