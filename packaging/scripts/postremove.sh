#!/bin/sh
# After a removal or a purge: systemd is told that the units are gone.
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || :
fi
if [ "$1" = purge ] && [ -e /var/lib/gitboot/state.json ]; then
	echo "gitboot: the stage /var/lib/gitboot stays; remove it by hand when nothing boots from it any more." >&2
fi
