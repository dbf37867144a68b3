#!/bin/sh
# Checks that a machine of the examples is what its config repo says: what is
# true of all of them first, then what the one image has.
. /usr/local/lib/lab/functions
. /etc/lab
echo "lab: machine $machine, generation $image"

mode() { stat -c %a "$1"; }
enabled() { is "$(systemctl is-enabled "$1")" enabled; }
user() { is "$(getent passwd "$1" | cut -d: -f6,7)" "/home/$1:/bin/bash"; }

check "the root is an overlay" is "$(findmnt -no FSTYPE /)" overlay
check "the host name" is "$(cat /proc/sys/kernel/hostname)" "$machine"
check "/etc/hosts knows it" grep -q "[[:space:]]$machine" /etc/hosts
check "the machine id is its own" grep -Eqx '[0-9a-f]{32}' /etc/machine-id
check "no service failed" no_failed_units
check "the network is systemd's" enabled systemd-networkd
check "wired networks" grep -q DHCP=yes /etc/systemd/network/wired.network
check "resolv.conf is the resolver's" is "$(readlink /etc/resolv.conf)" ../run/systemd/resolve/stub-resolv.conf
check "no policy-rc.d" absent /usr/sbin/policy-rc.d
check "no container's mark" absent /.dockerenv
check "no initrd of the image's own" is "$(ls /boot | grep initrd)" ""
check "ssh host keys are private" is "$(mode /etc/ssh/ssh_host_ed25519_key)" 600
check "nothing of the build is left" is "$(ls -d /gitboot* /run/gitboot-* 2>/dev/null)" ""

case $machine/$image in
laptop/work)
	check "fragments/packages" [ -x /usr/bin/nano ]
	check "no package lists" is "$(ls /var/lib/apt/lists)" ""
	check "fragments/user" user ada
	check "the login hook, for root" grep -q ada@desk /root/.ssh/authorized_keys
	check "the login hook, for ada" grep -q ada@desk /etc/ssh/keys/ada
	check "sshd's configuration" sshd -t
	check "its copy" grep -q indent_style /etc/skel/.editorconfig
	check "its run" is "$(readlink /etc/localtime)" /usr/share/zoneinfo/Europe/Berlin
	check "nothing of play" absent /etc/sysctl.d/games.conf
	check "the hook for work" is "$(cat /etc/motd)" "laptop is at work, with work:nightly"
	check "a unit is enabled" enabled fstrim.timer
	check "and runs" is "$(systemctl is-active fstrim.timer)" active
	check "a unit is disabled" is "$(systemctl is-enabled apt-daily.timer)" disabled
	check "and does not run" is "$(systemctl is-active apt-daily.timer)" inactive
	check "a unit is masked" is "$(systemctl is-enabled hibernate.target)" masked
	check "a kernel parameter" is "$(cat /proc/sys/vm/swappiness)" 10
	check "a user of a hook" is "$(id guest)" "uid=1100(guest) gid=1100(guest) groups=1100(guest),2000(shared)"
	check "its home" is "$(stat -c %a:%U:%G /var/lib/guest)" 700:guest:guest
	check "its key" is "$(stat -c %a:%U:%G /var/lib/guest/.ssh/authorized_keys)" 600:guest:guest
	check "what skel gave it" grep -q indent_style /var/lib/guest/.editorconfig
	check "the image's users" user ada
	check "shadow is shadow's" is "$(stat -c %a:%U:%G /etc/shadow)" 640:root:shadow
	check "a folder of a hook" is "$(stat -c %a:%U:%G /var/lib/guest/shared/)" 2775:root:shared
	check "what a hook removes" absent /etc/cron.daily/apt-compat
	check "what is beside it" [ -e /etc/cron.daily/dpkg ]
	check "fstab of the laptop" grep -q '^LABEL=home' /etc/fstab
	;;
desk/development)
	check "recipes/base" is "$(readlink /etc/localtime)" /usr/share/zoneinfo/Europe/Berlin
	check "recipes/common" user ada
	check "its groups" is "$(id -nG ada | tr ' ' '\n' | sort | tr '\n' ' ')" "ada audio input video "
	check "its change of a file" grep -qx 'PasswordAuthentication no' /etc/ssh/sshd_config
	check "recipes/desktop" is "$(systemctl get-default)" graphical.target
	check "recipes/development" is "$(cat /proc/sys/fs/inotify/max_user_watches)" 524288
	check "the fstab of development" grep -q '^LABEL=projects' /etc/fstab
	;;
hall/kiosk)
	check "fragments/admin" user admin
	check "its key" grep -q admin@desk /home/admin/.ssh/authorized_keys
	check "fragments/kiosk" is "$(systemctl is-active kiosk)" active
	check "its argument" pgrep -x top
	check "what its other stage made" absent /made
	check "nothing of the server" absent /etc/systemd/logind.conf.d/lid.conf
	;;
*)
	check "a machine of the examples" false
	;;
esac
verdict
