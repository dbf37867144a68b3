package virtual

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/disk/removable"
	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
)

// isFile reports whether a name is a file's: no image's has a slash, or is expected to
// end so.
func isFile(name string) bool {
	return strings.Contains(name, "/") || slices.Contains([]string{".img", ".raw", ".qcow2", ".iso"}, filepath.Ext(name))
}

// machine is the virtual machine that a disk's file is put into.
func (f flags) machine(c *cobra.Command, file string, o rehearsal.Options) (m qemu.Options, err error) {
	if f.untilGood || f.json {
		return m, usage.Errorf("--until-good is for what is staged: what a disk boots is judged by itself, on its own stage")
	}
	if f.arch != "" && !slices.Contains(qemu.Architectures(), f.arch) {
		return m, usage.Errorf("--arch %q: there is %s", f.arch, strings.Join(qemu.Architectures(), " and "))
	}
	arch, err := f.architecture(c.Context(), file)
	if err != nil {
		return m, err
	}
	m = qemu.Options{
		Arch: arch, Memory: o.Memory, CPUs: o.CPUs, Network: o.Network, SSH: o.SSH, Window: o.Window, Temp: o.Temp, Restarts: true,
		Firmware: qemu.Firmware(f.firmware), Drives: []qemu.Drive{{Path: file, Snapshot: true, CD: filepath.Ext(file) == ".iso"}},
	}
	if f.secureBoot {
		m.Firmware = qemu.SecureUEFI
	}
	if m.Memory == 0 {
		m.Memory = rehearsal.DefaultMemory
	}
	switch m.Firmware {
	case qemu.BIOS, qemu.UEFI, qemu.SecureUEFI, qemu.SetupUEFI:
	default:
		return m, usage.Errorf("--firmware %q: there is %s, %s, %s and %s", f.firmware, qemu.UEFI, qemu.BIOS, qemu.SecureUEFI, qemu.SetupUEFI)
	}
	switch {
	case f.keep != "" && !same(f.keep, file):
		return m, usage.Errorf("--keep of a disk is that disk: write --keep %s, and what the machine writes stays there", file)
	case f.keep != "":
		m.Drives[0].Snapshot = false
	}
	if f.cdrom != "" {
		m.Drives = append(m.Drives, qemu.Drive{Path: f.cdrom, CD: true})
	}
	m.Accel = qemu.Accelerator(c.Context(), arch, qemu.HostKernel(), o.Known)
	return m, nil
}

// architecture is that of what boots: of a disk, or of the medium beside one that boots
// nothing. It is this computer's if they boot that, too, or do not say.
func (f flags) architecture(ctx context.Context, disk string) (string, error) {
	if f.arch != "" {
		return f.arch, nil
	}
	for _, file := range []string{disk, f.cdrom} {
		all, err := removable.Architectures(ctx, file)
		switch {
		case errors.Is(err, removable.ErrRaspberryPi):
			return "", fmt.Errorf("%w, and there is no virtual machine with that; boot what is staged of the machine (gitboot vm MACHINE), or, if UEFI starts the disk, say which --arch", err)
		case err != nil || len(all) == 0: // what is wrong with a file, the machine tells
			continue
		case slices.Contains(all, runtime.GOARCH):
			return runtime.GOARCH, nil
		}
		return all[0], nil
	}
	return runtime.GOARCH, nil
}

func same(a, b string) bool {
	x, err1 := filepath.Abs(a)
	y, err2 := filepath.Abs(b)
	return err1 == nil && err2 == nil && x == y
}

// bootDisk runs the machine for people.
func bootDisk(ctx context.Context, c *cobra.Command, file string, m qemu.Options, o rehearsal.Options) error {
	run := func(ctx context.Context) error {
		console := qemu.NewConsole(o.Log)
		m.Console = console
		if o.Screen != nil {
			m.Console = io.MultiWriter(o.Screen, console)
		}
		return errors.Join(qemu.Run(ctx, m), console.Err())
	}
	in, out := terminal(c.InOrStdin()), screen.Terminal(c.OutOrStdout())
	if in == nil || out == nil || o.Window {
		if !o.Window {
			o.Screen = Lines(c.OutOrStdout())
		}
		return run(ctx)
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s boots; Ctrl-] three times within a second pulls the plug\n", filepath.Base(file))
	return attended(ctx, in, out, func(ctx context.Context, typed io.Reader) error {
		o.Screen, m.Input = out, typed
		return run(ctx)
	})
}
