#!/bin/sh
# arch.sh PACKAGE…: Arch by pacstrap, with the mirrors of this machine. Its
# keyring is not taken along (-G), because it holds a private key: an image that
# installs more begins with pacman-key --init && pacman-key --populate. Packages
# are kept in this machine's cache (-c), which makes the next time fast.
set -e
. ./pack.sh
root=$(mktemp -d)
chmod 755 "$root"
pacstrap -c -G "$root" "$@" >&2
cd "$root"
rm -rf var/cache/pacman/pkg/* var/lib/pacman/sync var/log/pacman.log var/cache/ldconfig/aux-cache
rm -f boot/initramfs-* etc/ssh/ssh_host_*
# pacman notes when a package was installed, which is every time another day.
find var/lib/pacman/local -name desc -exec sed -i "/^%INSTALLDATE%\$/{n;s/.*/$SOURCE_DATE_EPOCH/}" {} +
pack "$root"
