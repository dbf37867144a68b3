package rpi

import (
	"context"
	"errors"
	"fmt"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/marked"
	"github.com/gitboot/gitboot/boot/rpi/tryboot"
)

// argument is that of reboot(2) with which the firmware reads tryboot.txt: of the partition
// that it boots from as ever, which is 0.
const argument = "0 tryboot"

// Restart has an entry of the published menu boot if the machine is restarted with the
// argument, and then only; "" if it boots so or so.
func (l *Loader) Restart(ctx context.Context, m boot.Menu, entry string) (string, error) {
	why, err := l.Stale(ctx, m)
	if err == nil && why != "" {
		err = errors.New(why + "; the next reconcile writes it")
	}
	if err == nil {
		err = l.tries()
	}
	if err != nil {
		return "", fmt.Errorf("have the firmware boot %s once: %w", entry, err)
	}
	config, err := marked.Read(l.Where())
	if err != nil || tryboot.Entry(config) == entry {
		return "", err
	}
	r, err := render(m)
	if err != nil {
		return "", err
	}
	return argument, l.writeTry(r.lines(entry))
}

// writeTry writes tryboot.txt: all that is in config.txt besides our part, and these lines.
func (l *Loader) writeTry(lines []string) error {
	f, err := marked.Read(l.Where())
	if err != nil {
		return err
	}
	part := marked.Part(f.Linked(), lines)
	f.Last()
	f.Path = l.path(tryboot.Try)
	return f.Replace(part)
}

// forget has a tryboot.txt that boots what the menu has no more, or otherwise, be as
// config.txt: what somebody asks the firmware to try would not be there.
func (l *Loader) forget(r rendered, lines []string) error {
	f, err := marked.Read(l.path(tryboot.Try))
	if err != nil || f.Ours == nil {
		return err
	}
	if _, there := r.settings[tryboot.Entry(f)]; there {
		lines = r.lines(tryboot.Entry(f))
	}
	return l.writeTry(lines)
}

// checkTry refuses a tryboot.txt that is somebody else's.
func (l *Loader) checkTry() error {
	f, err := marked.Read(l.path(tryboot.Try))
	if err != nil {
		return err
	}
	if f.Ours == nil && len(f.Before) > 0 {
		return fmt.Errorf("%s is somebody else's; remove it", f.Path)
	}
	return nil
}
