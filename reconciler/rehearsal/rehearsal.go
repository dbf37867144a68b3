// Package rehearsal boots what is staged in a virtual machine, before or without
// anybody restarting a real one: for people to look at, or to find out whether it
// comes up.
//
// The machine has one disk, which holds the deployment as a stage does and is
// thrown away; of the real stage files are read, and nothing else. Its kernel is
// started as the boot loader would, with the entry's own arguments and few more
// (arguments.go). The real machine's other disks and cards are not there.
//
// Who judges is the watcher that process 1 leaves in the image: what the machine
// declares as its health is looked at inside, and the verdict lies on the disk.
package rehearsal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/qemu"
)

// A Deployment is what is booted.
type Deployment struct {
	Manifest *deployment.Manifest
	// Machine is whose it is, "" if it is nobody's yet.
	Machine string
	// Object returns where an object lies.
	Object func(deployment.Object) string
}

// TempDir is the folder in which throwaway disks lie: they are large, and /tmp may be
// memory.
func TempDir() string { return cmp.Or(os.Getenv("TMPDIR"), "/var/tmp") }

// Options say how it is booted. What is 0 is chosen here.
type Options struct {
	// Keep is the file that the disk lies in and stays in, to be booted again;
	// "" throws it away. Temp is the folder that it lies in then.
	Keep, Temp string
	// Memory is in bytes.
	Memory  int64
	CPUs    int
	Network qemu.Network
	// SSH is a port of this computer that leads to the machine's sshd, 0 for none.
	SSH int
	// Window shows the machine's screen; else it is used by its serial port.
	Window bool
	// Log receives what the machine prints on that port, up to qemu.MaxLog; Screen
	// all of it, and Input is what is typed there. All may be nil.
	Log, Screen io.Writer
	Input       io.Reader
	// Known is where is kept whether KVM works, "" for nowhere.
	Known    string
	Progress progress.Sink
	// Ready is called when all that takes long has been done, before the machine is
	// started. It may be nil.
	Ready func() error
}

// What a machine has if nothing else is said.
const (
	DefaultMemory = 2 << 30
	defaultCPUs   = 2
)

// KnownKVM is where is kept, until this computer restarts, whether KVM works.
func KnownKVM() string {
	if os.Geteuid() == 0 {
		return "/run/gitboot-kvm"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "gitboot-kvm")
	}
	return ""
}

func identify(m *deployment.Manifest) (string, error) {
	data, err := m.Canonical()
	if err != nil {
		return "", err
	}
	return deployment.ID(data), nil
}

// disk makes the machine's disk, or takes the one that was kept.
func (d Deployment) disk(ctx context.Context, id string, o Options) (path string, discard func() error, err error) {
	if o.Keep == "" {
		if path, discard, err = qemu.Throwaway(o.Temp); err != nil {
			return "", nil, err
		}
		if err = d.fill(ctx, id, path, o.Progress); err != nil {
			return "", nil, errors.Join(err, discard())
		}
		return path, discard, nil
	}
	nothing := func() error { return nil }
	_, err = os.Stat(o.Keep)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err = d.fill(ctx, id, o.Keep, o.Progress); err != nil {
			err = errors.Join(err, os.Remove(o.Keep))
		}
	case err == nil:
		err = holds(ctx, o.Keep, id)
	}
	return o.Keep, nothing, err
}

// holds reports that a disk that was kept is not one of this deployment.
func holds(ctx context.Context, disk, id string) error {
	there, err := qemu.ReadFolder(ctx, disk, stagePath+"/deployments")
	if err == nil && there[id+".json"] == "" {
		err = errors.New("it holds another deployment")
	}
	if err != nil {
		return fmt.Errorf("boot the disk %s again: %w; name another file, or remove it", disk, err)
	}
	return nil
}
