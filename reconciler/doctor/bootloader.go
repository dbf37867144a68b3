package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub"
	"github.com/gitboot/gitboot/boot/grub/env"
	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/boot/sdboot"
	"github.com/gitboot/gitboot/reconciler/menu"
)

// elsewhere says that this system was booted from the stage by a boot loader
// whose own folder is another system's.
func (v *visit) elsewhere() bool { return v.Config.Booted != "" && v.Config.Boot == "" }

const inOther = "this system was booted from the stage, and the boot loader's folder is another system's"

// checkBootLoader asks whether there is a boot loader, and can read the stage or copies
// of its kernels. GRUB has to source custom.cfg, without which nobody sees the menu.
func checkBootLoader(ctx context.Context, v *visit) []Finding {
	if v.unopened != nil {
		return skip("the settings or the stage are not in order")
	}
	at, err := v.r.Machine.Book.Bootable(ctx)
	if err != nil {
		return fail(err.Error(), "docs/guide.md, \"Where the stage may lie\", says what can boot")
	}
	name, why := menu.Which(&v.r.Machine.Book)
	switch name {
	case boot.SystemdBoot:
		return v.systemdBoot(why)
	case boot.Extlinux:
		return ok("an extlinux.conf, since %s; kernels are copied beside it", why)
	case boot.RaspberryPi:
		return ok("a Raspberry Pi's firmware, since %s; kernels are copied to the partition that it reads", why)
	}
	if v.elsewhere() {
		return ok("%s, which started it", inOther)
	}
	g, err := grub.Open(v.Config.Boot, v.Config.Stage)
	if err != nil {
		return fail(err.Error(), "")
	}
	sourced, err := grub.Sourced(g)
	if err != nil {
		return fail(fmt.Sprintf("read grub.cfg: %v", err), "")
	}
	if !sourced {
		return fail(filepath.Join(g.Dir(), "grub.cfg")+" does not source custom.cfg, in which gitboot's menu is",
			"put GRUB's own /etc/grub.d/41_custom back, make it executable, and run update-grub (grub2-mkconfig -o "+filepath.Join(g.Dir(), "grub.cfg")+")")
	}
	if at.Assembly != "" {
		return ok("the stage is on %s, which process 1 assembles; the grub.cfg of GRUB in %s sources custom.cfg", strings.Join(at.Assembly.Kinds(), " and "), g.Dir())
	}
	return ok("GRUB in %s reads the stage, and its grub.cfg sources custom.cfg", g.Dir())
}

func (v *visit) systemdBoot(why string) []Finding {
	l, err := sdboot.Open(v.Config.Boot, v.Config.Stage)
	if err != nil {
		return fail(err.Error(), "")
	}
	first, err := sdboot.Unsorted(l)
	if err != nil {
		return fail(err.Error(), "")
	}
	if doc, err := v.doc(); err == nil && first != "" && doc.Mode != boot.ModeManaged {
		return warn(fmt.Sprintf("%s has no sort-key, and loader.conf no default: an entry of gitboot's may boot by itself", first), "name a default in "+l.Where())
	}
	return ok("systemd-boot, since %s; kernels are copied to %s", why, l.Dir())
}

// checkMenu asks whether what is published follows from what is staged, is
// linked, and has room.
func checkMenu(ctx context.Context, v *visit) []Finding {
	doc, _, skipped := v.staged()
	if skipped != nil {
		return skipped
	}
	if len(doc.Images) == 0 {
		return skip("nothing is staged yet")
	}
	book := &v.r.Machine.Book
	at, err := book.Locate(ctx)
	if err != nil {
		return fail(err.Error(), "")
	}
	const again = "`gitboot reconcile --once` writes it again"
	stale, linked, err := book.Observe(ctx, at, doc)
	switch {
	case err != nil:
		return fail(err.Error(), again)
	case !linked:
		return fail("the boot loader's own file (custom.cfg, loader.conf, config.txt) does not name the menu of this stage", again)
	case stale != "":
		return fail("the menu is not the one that follows from what is staged: "+stale, again)
	}
	if err := book.Fits(ctx, at, doc); err != nil {
		return fail(err.Error(), "")
	}
	shown, err := book.Shown()
	if err != nil {
		return fail(err.Error(), again)
	}
	return ok("%d entries, as staged", len(shown))
}

// checkBootBlock asks whether GRUB can note, between two boots, which entry is
// next, and how many boots what is on trial has left: grub-reboot, trying an entry
// once, and falling back need it.
func checkBootBlock(ctx context.Context, v *visit) []Finding {
	if v.Settings != nil {
		return skip("the settings are not in order")
	}
	if v.unopened == nil {
		switch name, _ := menu.Which(&v.r.Machine.Book); name {
		case boot.SystemdBoot:
			return v.countedIn(ctx, "in the names of entries")
		case boot.RaspberryPi:
			return v.countedIn(ctx, "by who restarts the machine (gitboot boot restart)")
		case boot.Extlinux:
			return warn("boots of what is new cannot be counted, and no entry is booted once: what reads an extlinux.conf remembers nothing", "leave the machine's boot mode at menu")
		}
	}
	if v.elsewhere() {
		return skip(inOther)
	}
	g, err := grub.Open(v.Config.Boot, v.Config.Stage)
	if err != nil {
		return skip("GRUB's folder was not found")
	}
	if err := counts(ctx, v, g); err != nil {
		return warn("boots of what is new cannot be counted: "+err.Error(), "leave the machine's boot mode at menu, or have /boot on a plain ext4 partition, or a plain EFI system partition below it")
	}
	const once = "entries cannot be booted once (grub-reboot); choose them in the menu, or put /boot on a plain ext4 partition"
	at, err := place.Find(ctx, g.Dir())
	if err != nil {
		return warn("GRUB may not be able to write its block: "+err.Error(), once)
	}
	if err := grub.Writable(at); err != nil {
		return warn(fmt.Sprintf("%s: %v", g.Dir(), err), once)
	}
	path := filepath.Join(g.Dir(), "grubenv")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return warn(path+" is not there, so that entries cannot be booted once", "run `grub-editenv "+path+" create`")
	}
	if err == nil {
		_, err = env.Parse(data)
	}
	if err != nil {
		return warn(fmt.Sprintf("read %s: %v", path, err), "run `grub-editenv "+path+" create`")
	}
	return ok("%s is on %s, where GRUB can write it", path, at.Type)
}

// countedIn asks the same of a boot loader with no block of GRUB's.
func (v *visit) countedIn(ctx context.Context, how string) []Finding {
	memory, err := v.r.Machine.Book.Memory(ctx, boot.Filesystem{})
	if err == nil {
		_, err = memory.Read()
	}
	if err != nil {
		return warn("boots of what is new cannot be counted: "+err.Error(), "leave the machine's boot mode at menu until they can")
	}
	return ok("boots are counted %s, at %s", how, memory.Location())
}

// counts says why GRUB could not count boots from the stage.
func counts(ctx context.Context, v *visit, g *grub.GRUB) error {
	if v.Config.Location != nil {
		_, err := g.Memory(ctx, *v.Config.Location)
		return err
	}
	at, err := place.Find(ctx, v.Config.Stage)
	if err != nil {
		return nil // which is told of the stage
	}
	_, err = g.Memory(ctx, at)
	return err
}
