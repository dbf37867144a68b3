package device

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/disk/luks"
	"github.com/gitboot/gitboot/disk/lvm"
	"github.com/gitboot/gitboot/disk/mdraid"
	"github.com/gitboot/gitboot/initramfs/early/probe"
)

// checkStarted refuses what this system was started from, if that runs from memory and
// has let go of it.
func (d *Device) checkStarted() error {
	if _, err := os.Stat(deployment.StageMount); d.plain || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("find out what this system was started from: %w", err)
	}
	c, _, err := deployment.ParseCmdline(string(text))
	if err != nil {
		return nil // by another process 1 than gitboot's
	}
	return d.starts(c)
}

// starts refuses the disk that has what a system was started from: on the whole of it,
// as media have, or in a partition.
func (d *Device) starts(c deployment.Cmdline) error {
	parts := append(d.parted(), parted{name: "the whole disk", size: d.Size})
	for _, p := range parts {
		if p.start < 0 || p.size <= 0 || !holds(io.NewSectionReader(d.file, p.start, p.size), p.size, c) {
			continue
		}
		return &RefusedError{d.Path, fmt.Sprintf("is what this system was started from, which runs from memory: %s has its stage", p.name),
			"take another disk; if this is the one, or one that was written from the same file, erase it first (wipefs -a " + d.real + ")"}
	}
	return nil
}

// holds reports whether a part of a disk is the stage's file system, or a part of what
// that is on.
func holds(part io.ReaderAt, size int64, c deployment.Cmdline) bool {
	if steps := c.Assembly.Steps(); len(steps) > 0 {
		return holdsMember(part, size, steps[0])
	}
	uuid, ok := strings.CutPrefix(c.Stage.Device, "UUID=")
	if !ok { // no entry of gitboot's says it otherwise
		return false
	}
	fs, ok := probe.Identify(part)
	return ok && strings.EqualFold(fs.UUID, uuid)
}

// holdsMember reports whether it is of what is assembled first.
func holdsMember(part io.ReaderAt, size int64, first deployment.Step) bool {
	switch first.Kind {
	case deployment.AssembleRAID:
		m, err := mdraid.Read(part, size)
		return err == nil && m.UUID == first.ID
	case deployment.AssembleLUKS:
		h, err := luks.Read(part)
		return err == nil && h.UUID == first.ID
	}
	m, err := lvm.Read(part)
	return err == nil && m.Group != nil && m.Group.UUID == first.ID
}
