#!/bin/sh
# One fact a line, so that whoever watches the console can read them.
echo "gitboot: hostname $(cat /proc/sys/kernel/hostname)"
echo "gitboot: image $(cat /etc/gitboot-image)"
while read -r _ path type _; do
	[ "$path" = / ] && echo "gitboot: root is $type"
done </proc/mounts
while read -r line; do
	case $line in "#"* | "") ;; *) echo "gitboot: fstab $line" ;; esac
done </etc/fstab
echo "gitboot: machine is up"
