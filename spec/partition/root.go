package partition

import (
	"cmp"

	"github.com/gitboot/gitboot/deployment"
)

// A RootDecl is what is declared of the root file system's writable layer.
type RootDecl struct {
	Upper  *string `key:"upper" is:"upper" default:"tmpfs" doc:"Where what the running system writes goes. tmpfs: to memory, and is gone with the next boot. disk: to a disk, and is wiped at the next boot; for machines with little memory. persistent: to a disk, and stays, for each image apart, whatever generation boots."`
	Device *string `key:"device" is:"root-device" doc:"With upper on a disk: the file system, as UUID=…, LABEL=… or PARTUUID=…; the stage's own if absent."`
	Path   *string `key:"path" is:"folder" default:"/gitboot-root" doc:"With upper on a disk: the folder there, which is made."`
}

// UpperOf is where the writable layer lies, nil for memory.
func UpperOf(d *RootDecl) *deployment.Upper {
	if d == nil || cmp.Or(text(d.Upper), "tmpfs") == "tmpfs" {
		return nil
	}
	return &deployment.Upper{
		Device:     text(d.Device),
		Path:       cmp.Or(text(d.Path), "/gitboot-root"),
		Persistent: *d.Upper == "persistent",
	}
}
