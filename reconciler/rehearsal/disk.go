package rehearsal

import (
	"context"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/qemu"
)

// stagePath is where the stage lies on the machine's disk.
const stagePath = "/gitboot"

// folders are those that process 1, the watcher and an agent find on a stage.
var folders = []string{"objects/sha256", "layers", "kernels", "deployments", "boot", "tmp", deployment.BootsDir}

// fill makes a disk of the deployment alone.
func (d Deployment) fill(ctx context.Context, id, path string, sink progress.Sink) (err error) {
	disk, err := d.content(id)
	if err != nil {
		return err
	}
	task := progress.Start(sink, "a disk for the virtual machine", 0)
	defer func() { task.End(err) }()
	return disk.Make(ctx, path)
}

func (d Deployment) content(id string) (qemu.Disk, error) {
	manifest, err := d.Manifest.Canonical()
	if err != nil {
		return qemu.Disk{}, err
	}
	disk := qemu.Disk{UUID: uuid(id)}
	for _, folder := range folders {
		disk.Folders = append(disk.Folders, stagePath+"/"+folder)
	}
	disk.Files = []qemu.File{
		{Path: stagePath + "/lock"},
		{Path: stagePath + "/deployments/" + id + ".json", Text: manifest},
	}
	for _, o := range d.Manifest.Objects() {
		disk.Files = append(disk.Files, qemu.File{Path: stagePath + "/" + o.Path(), Source: d.Object(o), Size: o.Size})
	}
	return disk, nil
}

// uuid is that of a deployment's disk: one that was kept is found again by it.
func uuid(id string) string {
	return strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:32]}, "-")
}
