#!/bin/sh
# Checks that the running machine is what the image's layers and the hooks say.
. /usr/local/lib/lab/functions

machine=$(cat /etc/lab-machine)

refused() {
	if "$@"; then
		echo "\"$*\" succeeded"
		return 1
	fi
}

nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }

# xattr FILE NAME prints an extended attribute; minimal images have no getfattr.
xattr() {
	perl -e '$b = "\0" x 256; $n = syscall(191, $ARGV[0], $ARGV[1], $b, 256);
		die "getxattr: $!\n" if $n < 0; print substr($b, 0, $n)' "$1" "$2"
}

stage_is_read_only() {
	options=$(findmnt -rno TARGET,OPTIONS | awk '$1 ~ "^/run/initramfs" && !/squashfs/ { print $2 }')
	case ",$options," in
	*,ro,*) ;;
	*) echo "mounts below /run/initramfs have options \"$options\"" && return 1 ;;
	esac
}

kernel_args() {
	case " $(cat /proc/cmdline) " in
	*" $1 "*) ;;
	*) cat /proc/cmdline && return 1 ;;
	esac
}

cd /opt/lab || exit 1
echo "lab: machine $machine, generation $(cat generation)"

check "the root is an overlay" is "$(findmnt -no FSTYPE /)" overlay
check "the root can be written" touch /lab-written
check "the host name is the machine's" is "$(cat /proc/sys/kernel/hostname)" "$machine"
check "/etc/hosts knows it" grep -q "[[:space:]]$machine" /etc/hosts
check "fstab's file system is mounted" is "$(findmnt -no FSTYPE,SIZE /mnt | tr -s ' ')" "tmpfs 1M"
check "the machine id is the declared one" is "$(cat /etc/machine-id)" 0123456789abcdef0123456789abcdef
check "the profile's kernel arguments" kernel_args "lab.profile=1"
check "the image's kernel arguments" kernel_args "loglevel=5"
check "no service failed" no_failed_units

check "a whited-out file" absent gone
check "a whited-out folder" absent gonedir
check "an opaque folder" is "$(ls opaque)" new
check "a folder replaced by a file" is "$(cat dir-to-file)" file
check "a file replaced by a folder" is "$(ls file-to-dir)" inside
check "a file changed above" is "$(cat changed)" upper
check "a file of the lower layer" is "$(cat kept/file)" lower
check "no whiteout is left visible" is "$(find /opt/lab -name '.wh.*')" ""

check "hard links share an inode" is "$(stat -c %i link-a)" "$(stat -c %i link-b)"
check "hard links count" is "$(stat -c %h link-a)" 2
check "what a removed hard link leaves" is "$(cat half-b)" half
check "symbolic links" is "$(readlink symlink)" /opt/lab/changed
check "a long name" is "$(cat "$(printf '%0200d' 7)")" long
check "owners" is "$(stat -c %u:%g owned)" 1234:5678
check "large owners" is "$(stat -c %u:%g owned-large)" 3000000000:3000000001
check "a hard link into a lower layer" is "$(stat -c %u:%g owned-link) $(cat owned-link)" "1234:5678 owned"
check "modes" is "$(stat -c %a sticky)" 1777
check "times" is "$(stat -c %Y owned)" 1600000000
check "fifos" is "$(stat -c %F fifo)" fifo
check "devices" is "$(stat -c '%F %t:%T' null)" "character special file 1:3"
check "extended attributes" is "$(xattr owned user.lab)" value
check "setuid survives" is "$(stat -c %a id)" 4755
check "setuid works" is "$(nobody ./id -u)" 0
check "capabilities work" nobody ./chroot-cap / /bin/true
check "nothing has capabilities by itself" refused nobody ./chroot-plain / /bin/true

check "a hook's file covers the image's" is "$(cat hooked)" hook
check "its owner and mode" is "$(stat -c %u:%g:%a hooked)" 1234:5678:640
check "what a hook's script wrote" is "$(cat /etc/lab-run)" rendered
check "a script at boot ran before init" [ -s /etc/lab-at-boot ]
check "ssh host keys are private" is "$(stat -c %a:%u /etc/ssh/ssh_host_ed25519_key)" 600:0
check "ssh's folder of root is private" is "$(stat -c %a /root/.ssh)" 700
check "authorized keys" grep -q "^ssh-ed25519 .* lab$" /root/.ssh/authorized_keys
check "modules of the image load" modprobe dummy

case $machine in
bookworm)
	check "kernel arguments reach the kernel as they are" kernel_args "lab.quote=\$HOME;{x}&y|#z"
	check "the stage is mounted read-only" stage_is_read_only
	;;
bookworm-sysv)
	check "the writable layer's size" is "$(findmnt -bno SIZE / || df -B1 --output=size / | tail -1)" 209715200
	;;
esac
verdict
