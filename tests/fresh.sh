#!/usr/bin/env bash
# Runs make targets as a newcomer would: from a fresh clone of this repository's
# last commit, in a clean root file system of a Debian release that has nothing
# but git, make and Go. So it finds a package that tests/deps.sh forgot, and
# what another release's QEMU, GRUB, buildah or podman does differently.
#
#   tests/fresh.sh SUITE [TARGET...]   SUITE is bookworm, trixie, …; the targets
#                                      are demo and test if none is named
#
# Environment:
#   GITBOOT_FRESH_DIR    where the root goes; several GB, removed at the end
#                        (a folder below /var/tmp if not given)
#   GITBOOT_FRESH_CACHE  a folder that is kept between runs: Go's modules and
#                        build cache, root file systems; without it each run
#                        downloads and compiles everything, as a newcomer's does
#   PACKAGES             what make test tests (./...)
#   GITBOOT_MIRROR       the mirror, if mmdebstrap's choice will not do
#
# It needs root and mmdebstrap. Go is this computer's (of its release there may
# be none that is new enough), everything else comes from the suite. All that it
# mounts and starts is in namespaces of its own and ends with it.
set -euo pipefail

die() { echo "fresh.sh: $*" >&2; exit 1; }

# enter makes $1 the root of this mount namespace and executes the rest. A plain
# chroot would not do: mmdebstrap and buildah want / to be a mount.
enter() {
	local root=$1
	shift
	mount --bind "$root" "$root"
	local d
	for d in proc sys dev; do mount --rbind "/$d" "$root/$d"; done
	# A /proc of the new process namespace, so that nothing outside is seen.
	mount -t proc proc "$root/proc"
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
	mkdir -p "$root/usr/local/go"
	mount --bind -o ro "$GOROOT" "$root/usr/local/go"
	if [[ -n ${GITBOOT_FRESH_CACHE-} ]]; then
		mkdir -p "$GITBOOT_FRESH_CACHE"/{go,cache} "$root"/root/{go,.cache}
		mount --bind "$GITBOOT_FRESH_CACHE/go" "$root/root/go"
		mount --bind "$GITBOOT_FRESH_CACHE/cache" "$root/root/.cache"
	fi
	cd "$root"
	mkdir -p .old
	pivot_root . .old
	umount -l /.old
	cd /root/gitboot
	"$@" # not by exec: the first process of a namespace heeds no signal
}

if [[ ${1-} == --enter ]]; then
	shift
	enter "$@"
	exit
fi

(($# >= 1)) || die "usage: tests/fresh.sh SUITE [TARGET...]"
suite=$1
shift
targets=("${@:-}")
[[ -n ${targets[0]} ]] || targets=(demo test)
((EUID == 0)) || die "only root can make a root file system; run: sudo tests/fresh.sh $suite"
command -v mmdebstrap >/dev/null || die "mmdebstrap is not installed; run tests/deps.sh demo"

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
GOROOT=$(go env GOROOT)
export GOROOT
dir=$(mktemp -d "${GITBOOT_FRESH_DIR:-/var/tmp}/gitboot-fresh-XXXXXX")
trap 'rm -rf --one-file-system "$dir"' EXIT

echo "==> $suite: a clean root"
mmdebstrap --variant=minbase --quiet --include=ca-certificates,git,make "$suite" "$dir/root" ${GITBOOT_MIRROR:+"$GITBOOT_MIRROR"}
# Names and authorities as this computer has them: its network may have its own.
cp /etc/resolv.conf "$dir/root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$dir/root/etc/ssl/certs/ca-certificates.crt"
# Packages that are installed there make the list anew, of what is added here.
mkdir -p "$dir/root/usr/local/share/ca-certificates"
find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$dir/root/usr/local/share/ca-certificates" {} +
git clone --quiet "$here" "$dir/root/root/gitboot"
git -C "$dir/root/root/gitboot" checkout --quiet "$(git -C "$here" rev-parse HEAD)"

# Of the environment only what reaches the network goes in.
env=(HOME=/root TERM=dumb PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
for name in GOPROXY GOSUMDB http_proxy https_proxy no_proxy GITBOOT_MIRROR PACKAGES; do
	[[ -z ${!name-} ]] || env+=("$name=${!name}")
done
if [[ ${GITBOOT_FRESH_CACHE-} ]]; then env+=("GITBOOT_FRESH_CACHE=$GITBOOT_FRESH_CACHE"); fi

failed=0
for target in "${targets[@]}"; do
	echo "==> $suite: make $target"
	began=$SECONDS
	result=passed
	env -i "${env[@]}" GOROOT="$GOROOT" unshare --mount --propagation private --pid --fork --kill-child \
		"$here/tests/fresh.sh" --enter "$dir/root" env -u GOROOT -u GITBOOT_FRESH_CACHE make "$target" &
	inside=$!
	trap 'kill -KILL $inside; wait $inside; exit 130' INT TERM
	wait $inside || result=FAILED failed=1
	trap - INT TERM
	echo "==> $suite: make $target $result in $((SECONDS - began)) s"
done
exit "$failed"
