#!/bin/sh
# After an installation or an upgrade: the group of those who may ask the agent,
# and systemd told of new units. Nothing is enabled, and the boot menu not touched.
set -e

if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers gitboot.conf
elif ! getent group gitboot >/dev/null; then
	groupadd --system gitboot
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemd-tmpfiles --create gitboot.conf
	# Of an upgrade, the agent that runs is to be the new one.
	systemctl try-restart gitboot.service || :
fi

for unit in /usr/local/lib/systemd/system/gitboot*; do
	if [ -e "$unit" ]; then
		echo "gitboot: $unit, of an installation by hand, is taken in place of this package's; remove it" >&2
	fi
done
