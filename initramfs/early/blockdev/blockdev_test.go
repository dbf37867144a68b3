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
	if Skip("sr0", "UUID=2026-03-01-02-03-04-00") {
		t.Error("a CD is not looked at, though one is wanted")
	}
	for name, want := range map[string]bool{"loop0": true, "sr0": true, "sda": false, "srx": false, "ram1": true, "fd0": true, "nvme0n1": false} {
		if Skip(name, "UUID=0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d") != want {
			t.Errorf("%s: not %v", name, want)
		}
	}
}
