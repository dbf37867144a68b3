package workshop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/initramfs/processor"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// rehearse boots what was built, where that is declared, before it counts as
// built: an image that does not come up is nobody's, neither this machine's nor its
// children's nor a registry's. What became of the same content before is known.
func (j maker) rehearse(ctx context.Context, b *build, img engine.Image, opts engine.Options) error {
	if b.want.Build.Test == "" {
		b.state.Test = nil
		return nil
	}
	key, err := j.rehearsalKey(b, img)
	if err != nil {
		return err
	}
	if known := b.state.Test; known != nil && known.Key == key {
		switch {
		case known.Failure == "":
			return nil
		case b.patient:
			return errors.New(known.Failure)
		}
	}
	if err := qemu.Installed(architecture(b)); err != nil {
		return fmt.Errorf("boot test: %w", err)
	}
	opts.Progress.Step(0, 0, "boot it in a virtual machine")
	fmt.Fprintln(opts.Log, "\nboot test: what was built boots in a virtual machine")
	out, err := rehearsal.JudgeImage(ctx, j.subject(b, img), opts.TempDir, rehearsal.Options{
		Log: opts.Log, Screen: plain.Lines(opts.Progress.Line), Known: j.KnownKVM,
	})
	if err := errors.Join(err, fault.Point("build.rehearsed")); err != nil {
		return fmt.Errorf("boot test: %w", err)
	}
	test := &state.Test{Key: key, Time: j.now(), Seconds: out.Took.Seconds()}
	if !out.Good {
		test.Failure = told(out)
	}
	fmt.Fprintf(opts.Log, "\nboot test: good is %t, after %.0f s with %s\n", out.Good, out.Took.Seconds(), out.Accel)
	j.Log.Info("boot test", "image", b.want.Name, "good", out.Good, "took", out.Took.Round(1e8), "accelerator", out.Accel)
	if b.state.Test = test; out.Good {
		return nil
	}
	return errors.New(test.Failure) // which is noted with the failure
}

// subject is what is booted: the image, with no machine's hooks.
func (j maker) subject(b *build, img engine.Image) rehearsal.Image {
	s := rehearsal.Image{Name: b.want.Name, Kernel: b.want.Kernel, KernelArgs: b.want.KernelArgs, Init: processor.Program(j.Init, architecture(b))}
	for _, l := range img.Layers {
		s.Layers = append(s.Layers, stage.Tar{DiffID: l.DiffID, Name: b.want.Name, Size: l.Size, Open: l.Open})
	}
	return s
}

// architecture is that of os/architecture[/variant] which is built for, "" for this
// computer's.
func architecture(b *build) string {
	return image.Architecture(b.want.Build.Platform)
}

// rehearsalKey hashes what decides how a rehearsal goes.
func (j maker) rehearsalKey(b *build, img engine.Image) (string, error) {
	init, err := initramfs.Checksum(processor.Program(j.Init, architecture(b)))
	if err != nil {
		return "", fmt.Errorf("boot test: read gitboot-init: %w; install it beside gitboot, or name it with init in agent.toml", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %q %q", img.Digest, init, b.want.Kernel, b.want.KernelArgs))
	return hex.EncodeToString(sum[:8]), nil
}

// told is why an image has not passed, with the last that it printed.
func told(out rehearsal.Outcome) string {
	text := "boot test: " + plain.Line(out.Reason)
	if lines := out.Last(); len(lines) > 0 {
		text += "; its last lines:\n    " + strings.Join(lines, "\n    ")
	}
	return text
}
