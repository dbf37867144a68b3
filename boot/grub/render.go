package grub

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
)

// Render returns the text of gitboot.cfg, which begins with a note. It runs in the scope of the
// distribution's grub.cfg, after all of it, so nothing but the choice of the
// default may change a variable there; entries have what they need within. What
// distributions put into theirs, and whether ours have it, is in the package's
// doc.
func Render(m boot.Menu, note ...string) ([]byte, error) {
	return renderIn(path.Dir(path.Join(m.Stage.Path, MenuFile)), m, note)
}

// renderIn is Render for a menu that lies in a folder of its file system.
func renderIn(folder string, m boot.Menu, note []string) ([]byte, error) {
	if err := errors.Join(known(m.Stage), m.Check()); err != nil {
		return nil, fmt.Errorf("write boot menu: %w", err)
	}
	w := &script{stage: m.Stage, folder: folder}
	w.line("# Written by gitboot at each reconcile; changes are lost.")
	for _, line := range note {
		w.line("%s", line)
	}
	if m.Mode == boot.ModeManaged {
		w.choice(&m)
	}
	if m.Trial != nil {
		w.once(m.Trial.ID)
	}
	if len(m.Images) > 0 || m.Trial != nil {
		w.line("%s", screen)
	}
	for _, image := range m.Images {
		if err := w.image(image); err != nil {
			return nil, fmt.Errorf("write boot menu: image %q: %w", image.Name, err)
		}
	}
	if m.Trial != nil {
		w.line("")
		if err := w.entry("try", *m.Trial); err != nil {
			return nil, fmt.Errorf("write boot menu: entry %s: %w", m.Trial.ID, err)
		}
	}
	return w.buf.Bytes(), nil
}

// screen is a function of ours for all entries. Functions, unlike variables,
// are known in submenus, where of the variables only exported ones are.
const screen = `
# The kernel gets a screen: under UEFI it has none unless GRUB has the drivers.
function gitboot_screen {
  if [ "${feature_all_video_module}" = y ]; then
    insmod all_video
  fi
  if [ -n "${linux_gfx_mode}" ]; then
    set gfxpayload="${linux_gfx_mode}"
  fi
}`

type script struct {
	buf    bytes.Buffer
	stage  boot.Filesystem
	folder string
	indent int
}

func (w *script) line(format string, args ...any) {
	if format != "" {
		w.buf.WriteString(strings.Repeat("  ", w.indent))
	}
	fmt.Fprintf(&w.buf, format, args...)
	w.buf.WriteByte('\n')
}

// choice sets what boots by itself, before the entries.
func (w *script) choice(m *boot.Menu) {
	if id := defaultPath(m); id != "" {
		w.line("")
		w.line("# grub.cfg sets boot_once when next_entry asked for an entry.")
		w.line(`if [ "${boot_once}" != "true" ]; then`)
		w.line("  set default=%s", quote(id))
		w.line("fi")
	}
	if m.Timeout != nil {
		w.line("set timeout_style=menu")
		w.line("set timeout=%d", *m.Timeout)
	}
}

// defaultPath returns how GRUB is told of the default: an older entry is
// named through its submenu.
func defaultPath(m *boot.Menu) string {
	for _, image := range m.Images {
		for i, e := range image.Entries {
			switch {
			case e.ID != m.Default:
			case i == 0:
				return e.ID
			default:
				return boot.OlderID(image.Name) + ">" + e.ID
			}
		}
	}
	return ""
}

func (w *script) image(image boot.MenuImage) error {
	for i, e := range image.Entries {
		if i == 1 {
			w.line("")
			w.line("submenu %s --class gitboot --unrestricted --id %s {", quote(image.Name+", older generations"), boot.OlderID(image.Name))
			w.indent++
		} else {
			w.line("")
		}
		if err := w.entry(image.Name, e); err != nil {
			return fmt.Errorf("entry %s: %w", e.ID, err)
		}
	}
	if w.indent > 0 {
		w.indent--
		w.line("}")
	}
	return nil
}

func (w *script) entry(image string, e boot.Entry) error {
	if err := e.Check(w.stage); err != nil {
		return err
	}
	words, err := deployment.Words(w.path(e.Kernel), e.Args)
	if err != nil {
		return err
	}
	title := e.Title
	if e.State == boot.Trying || e.State == boot.Bad {
		title += " [" + e.State + "]"
	}
	linux := "linux " + quote(w.path(e.Kernel))
	for _, word := range words {
		linux += " " + quote(word)
	}
	w.line("menuentry %s --class gitboot --class %s --class gnu-linux --class os --unrestricted --id %s {", quote(title), quote(boot.IDPart(image)), e.ID)
	w.line("  gitboot_screen")
	w.line("  search --no-floppy --fs-uuid --set=root %s", w.stage.UUID)
	files := []string{linux, "initrd " + quote(w.path(e.Initrd))}
	if w.stage.Type == "btrfs" {
		w.line("  insmod linux")
		files = fromTop(files)
	}
	for _, line := range files {
		w.line("  %s", line)
	}
	w.line("}")
	return nil
}

// fromTop wraps lines in which paths are meant from a btrfs' top subvolume.
// SUSE's GRUB, and Fedora's, take them from the default subvolume while
// btrfs_relative_path is yes, as SUSE's grub.cfg has it; GRUB's own modules are
// found by such paths too, so what the lines use must be loaded before.
func fromTop(lines []string) []string {
	return slices.Concat([]string{
		`set gitboot_relative="${btrfs_relative_path}"`,
		"set btrfs_relative_path=n",
	}, lines, []string{
		`set btrfs_relative_path="${gitboot_relative}"`,
		"unset gitboot_relative",
	})
}

// blockPath is our environment block, on the device that custom.cfg has found.
func (w *script) blockPath() string {
	return `"(${gitboot_stage})"` + quote(path.Join(w.folder, blockFile))
}

// path returns a path below the stage from the top of its file system.
func (w *script) path(p string) string { return path.Join(w.stage.Path, p) }
