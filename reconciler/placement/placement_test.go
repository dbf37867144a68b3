package placement_test

import (
	"reflect"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/reconciler/placement"
	"github.com/gitboot/gitboot/spec"
)

// What was signed for a machine before its disk was made boots from that: where things lie
// stays what it is.
func TestOf(t *testing.T) {
	stage := boot.Filesystem{UUID: "84fcb9e9-0539-8dd9-acd5-b6a31af9c071", Type: layout.Ext4, Path: "/gitboot"}
	for loader, folder := range map[string]boot.Filesystem{
		"":                 {UUID: stage.UUID, Type: layout.Ext4, Path: "/boot/grub"},
		layout.SystemdBoot: {UUID: "23BC-B9B2", Type: layout.FAT, Path: "/"},
		layout.RaspberryPi: {UUID: "23BC-B9B2", Type: layout.FAT, Path: "/"},
	} {
		p, err := placement.Of(&spec.Wants{Machine: "laptop", Arch: layout.AMD64, Boot: spec.Boot{Loader: loader}})
		if err != nil || !reflect.DeepEqual(p.Stage, stage) || !reflect.DeepEqual(p.Boot, folder) {
			t.Errorf("%q: %v %v %v", loader, p.Stage, p.Boot, err)
		}
	}
}
