#!/bin/sh
# One fact a line, so that whoever watches the console can read them. They go through
# the kernel's log: what is written to the console beside it is cut by its messages.
# "err" is what "quiet" still shows.
say() {
	echo "<3>gitboot: $*" >/dev/kmsg
}

say "hostname $(cat /proc/sys/kernel/hostname)"
say "image $(cat /etc/gitboot-image)"
while read -r _ path type _; do
	[ "$path" = / ] && say "root is $type"
done </proc/mounts
while read -r line; do
	case $line in "#"* | "") ;; *) say "fstab $line" ;; esac
done </etc/fstab
say "machine is up"
