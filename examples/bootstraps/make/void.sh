#!/bin/sh
# void.sh MIRROR PACKAGE…: Void by xbps-install. The keys that packages are
# verified with are this machine's. When packages were installed is noted in
# xbps's database, so that a rebuild is never quite the same.
set -e
. ./pack.sh
mirror=$1
shift
root=$(mktemp -d)
chmod 755 "$root"
mkdir -p "$root/var/db/xbps/keys"
cp /var/db/xbps/keys/* "$root/var/db/xbps/keys/"
XBPS_ARCH=$(uname -m) xbps-install --yes --sync --rootdir "$root" --repository "$mirror" "$@" >&2
xbps-reconfigure --rootdir "$root" --force --all >&2
cd "$root"
rm -rf var/cache/xbps var/cache/ldconfig/aux-cache
rm -f boot/initramfs-* etc/ssh/ssh_host_*
pack "$root"
