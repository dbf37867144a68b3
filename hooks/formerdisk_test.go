package hooks

import (
	"testing"

	"github.com/gitboot/gitboot/hooks/kind"
)

// What a script wrote is not replaced.
func TestFormerDiskIsRendered(t *testing.T) {
	const gone = "0 0644 0:0 # taken out by gitboot, not on this machine: "
	root := imageOf(t, map[string]string{"/etc/fstab": "UUID=1 / ext4\n", "/etc/crypttab": "root UUID=3\n"})
	e := mustRender(t, Input{Root: root})
	wantEntry(t, e, "/etc/fstab", gone+"UUID=1 / ext4\n")
	wantEntry(t, e, "/etc/crypttab", gone+"root UUID=3\n")

	script := kind.Script{Name: "s", Content: []byte("#!/bin/sh\nmkdir $GITBOOT_OUT/etc\necho mine > $GITBOOT_OUT/etc/fstab\n")}
	e = mustRender(t, Input{Root: root, Hooks: []kind.Hook{{Name: "h", Run: []kind.Script{script}}}})
	wantEntry(t, e, "/etc/fstab", "0 0644 0:0 mine\n")
	wantEntry(t, e, "/etc/crypttab", gone+"root UUID=3\n")
}
