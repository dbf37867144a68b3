#!/bin/sh
# Before a removal: the service ends. The boot menu and the stage stay, because
# this machine may run from them. $1 is dpkg's word, rpm's count of what stays
# installed, or pacman's version.
set -e

case "$1" in
upgrade | failed-upgrade | deconfigure | 1) exit 0 ;;
esac

if command -v systemctl >/dev/null; then
	systemctl disable --quiet gitboot.service gitboot.timer || :
	if [ -d /run/systemd/system ]; then
		systemctl stop gitboot.timer gitboot-once.service gitboot.service || :
	fi
fi

stage=$(sed -n 's/^[[:space:]]*stage[[:space:]]*=[[:space:]]*"\(.*\)".*/\1/p' /etc/gitboot/agent.toml 2>/dev/null | head -n 1)
stage=${stage:-/var/lib/gitboot}
if [ -e "$stage/state.json" ]; then
	echo "gitboot: the stage $stage stays, and so do its entries in the boot menu: what is staged goes on booting." >&2
	echo "gitboot: to take it away, delete gitboot's lines in custom.cfg (in /boot/grub or /boot/grub2), and then the folder." >&2
fi
