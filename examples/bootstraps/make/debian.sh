#!/bin/sh
# debian.sh SUITE [PACKAGE,… [MIRROR]]: Debian or Ubuntu by debootstrap. Taken
# out are what differs although nothing changed, an initrd, which gitboot makes
# itself, and ssh's host keys, which every machine has for itself.
set -e
. ./pack.sh
root=$(mktemp -d)
chmod 755 "$root"
debootstrap --variant=minbase ${2:+"--include=$2"} "$1" "$root" ${3:+"$3"} >&2
cd "$root"
rm -rf var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*.deb
rm -rf var/log/*.log var/log/apt var/cache/ldconfig/aux-cache
rm -f boot/initrd.img* initrd.img* etc/ssh/ssh_host_*
pack "$root"
