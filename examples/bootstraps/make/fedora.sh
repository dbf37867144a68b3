#!/bin/sh
# fedora.sh RELEASE PACKAGE…: Fedora by dnf 5, with the repositories and keys of
# this machine. When packages were installed is noted in rpm's database, so that
# a rebuild is never quite the same.
set -e
. ./pack.sh
release=$1
shift
root=$(mktemp -d)
chmod 755 "$root"
dnf --assumeyes --installroot="$root" --use-host-config --releasever="$release" \
	--setopt=install_weak_deps=False --setopt=tsflags=nodocs install "$@" >&2
cd "$root"
rm -rf var/cache/dnf var/cache/libdnf5 var/log/dnf* var/cache/ldconfig/aux-cache
rm -f boot/initramfs-* etc/ssh/ssh_host_*
pack "$root"
