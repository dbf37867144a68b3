package blockdev

import (
	"testing"

	"github.com/gitboot/gitboot/initramfs/early/probe"
)

func TestSearchIs(t *testing.T) {
	d := Device{Path: "/dev/vda1", FS: probe.Filesystem{Type: "vfat", UUID: "12AB-34CD", Label: "Stage"}}
	for want, is := range map[string]bool{
		"UUID=12ab-34cd": true, "UUID=12AB-34CE": false, "LABEL=Stage": true, "LABEL=stage": false,
		"/dev/vda1": true, "/dev/vda": false, "PARTUUID=12AB-34CD": false, "UUID=": false,
	} {
		if s := (&Search{want: want}); s.is("no-such-device", d) != is {
			t.Errorf("%s: not %v", want, is)
		}
	}
}

func TestSkip(t *testing.T) {
	for name, want := range map[string]bool{"loop0": true, "sr0": true, "sda": false, "srx": false, "ram1": true, "fd0": true, "nvme0n1": false} {
		if skip(name) != want {
			t.Errorf("%s: not %v", name, want)
		}
	}
}
