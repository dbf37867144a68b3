package recipe

import "fmt"

// What building in a container leaves behind, and what becomes of it:
//
//	/etc/resolv.conf      the builder's. Becomes a link to where the image's
//	                      own resolver writes (systemd-resolved if the image
//	                      enables it, resolvconf or openresolv), else an empty
//	                      file, which NetworkManager, dhclient, dhcpcd and
//	                      others replace.
//	/etc/hostname         the builder's. Becomes "localhost", which a hook or
//	                      the network replaces.
//	/etc/hosts            the builder's. Becomes localhost alone.
//	/etc/machine-id       that of whatever was booted or installed. Becomes
//	                      empty, so that every machine gets its own; D-Bus's
//	                      copy becomes a link to it.
//	/usr/sbin/policy-rc.d, /.dockerenv, /run/.containerenv
//	                      removed: the first keeps Debian's services from
//	                      being started, the others say that this is a
//	                      container.
//
// The first three cannot be written by a step, because engines mount their
// own files over them: they are made in a stage aside and copied.
const asideFolder = "/gitboot-fixes"

const makeAside = `set -e; d=` + asideFolder + `; mkdir -p $d/etc; \
    enabled() { for f in /etc/systemd/system/*/"$1" /usr/lib/systemd/system/*/"$1"; do if [ -L "$f" ]; then return 0; fi; done; return 1; }; \
    if enabled systemd-resolved.service; then ln -s ../run/systemd/resolve/stub-resolv.conf $d/etc/resolv.conf; \
    elif [ -x /sbin/resolvconf ] || [ -x /usr/sbin/resolvconf ]; then ln -s ../run/resolvconf/resolv.conf $d/etc/resolv.conf; \
    else : > $d/etc/resolv.conf; fi; \
    echo localhost > $d/etc/hostname; \
    printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' > $d/etc/hosts`

const fixInPlace = `set -e; \
    if [ -e /etc/machine-id ] || [ -d /usr/lib/systemd ] || [ -d /lib/systemd ]; then : > /etc/machine-id; fi; \
    if [ -e /var/lib/dbus/machine-id ]; then ln -sf /etc/machine-id /var/lib/dbus/machine-id; fi; \
    if grep -q 'exit 101' /usr/sbin/policy-rc.d 2>/dev/null; then rm /usr/sbin/policy-rc.d; fi; \
    rm -f /.dockerenv`

// fixes writes the last stages.
func (r *renderer) fixes() {
	before := r.prev
	fmt.Fprintf(&r.out, "\n# what building in a container leaves behind (rootfs_fixes)")
	r.stage("gitboot-fixes")
	fmt.Fprintf(&r.out, "USER 0:0\n%sRUN %s\n", r.left.script(), makeAside)
	r.prev = before
	r.stage("gitboot-fixed")
	fmt.Fprintf(&r.out, "USER 0:0\n%sRUN %s\nCOPY --from=gitboot-fixes %s/ /\n", r.left.script(), fixInPlace, asideFolder)
	r.left = leavings{}
	r.parts = append(r.parts, hashPart("rootfs_fixes", []byte(makeAside+fixInPlace)))
}
