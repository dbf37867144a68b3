package grub

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/copies"
)

// Render returns the text of gitboot.cfg on a stage that GRUB can read.
func Render(m boot.Menu) ([]byte, error) {
	s := site{stage: m.Stage}
	folder, _ := s.menu()
	folder.Path = path.Dir(path.Join(folder.Path, MenuFile))
	if Writable(folder) != nil {
		return s.render(m, nil)
	}
	return s.render(m, &envFile{folder: folder, onStage: true})
}

// render returns the text of gitboot.cfg as it belongs to a site, whose script can
// remember in a block, nil for none. It runs in the scope of the distribution's
// grub.cfg, after all of it, so nothing but the choice of the default may change a
// variable there that is not ours; entries have what they need within. What
// distributions put into theirs, and whether ours have it, is in the package's
// doc.
func (s site) render(m boot.Menu, b *envFile) ([]byte, error) {
	if s.copies() {
		m = copies.At(*s.beside, m)
	}
	folder, file := s.menu()
	folder.Path = path.Dir(path.Join(folder.Path, file))
	return renderIn(folder, b, m, s.note())
}

// renderIn is Render for a menu that lies in a folder, and one whose script can
// remember in a block, nil for none.
func renderIn(folder boot.Filesystem, b *envFile, m boot.Menu, note []string) ([]byte, error) {
	if err := errors.Join(known(m.Stage), m.Check()); err != nil {
		return nil, fmt.Errorf("write boot menu: %w", err)
	}
	w := &script{stage: m.Stage, menuAt: folder}
	switch {
	case b != nil:
		w.block = &remembered{b.folder}
	case m.Tries > 0:
		return nil, errors.New("write boot menu: boots are to be counted, and GRUB can write nothing down")
	}
	w.line("# Written by gitboot at each reconcile; changes are lost.")
	w.lines(note...)
	w.choice(&m)
	if len(m.All()) > 0 {
		w.line("%s", functions)
	}
	if err := w.trial(&m); err != nil {
		return nil, fmt.Errorf("write boot menu: entry %s: %w", m.Fallback, err)
	}
	for _, image := range m.Images {
		if err := w.image(&m, image); err != nil {
			return nil, fmt.Errorf("write boot menu: image %q: %w", image.Name, err)
		}
	}
	for _, e := range m.Apart() {
		w.line("")
		class := map[string]string{boot.SafeGraphicsID: "safe-graphics", boot.RecoveryID: "recovery"}[e.ID]
		if err := w.entry(&m, cmp.Or(class, "try"), *e); err != nil {
			return nil, fmt.Errorf("write boot menu: entry %s: %w", e.ID, err)
		}
	}
	return w.buf.Bytes(), nil
}

type script struct {
	buf   bytes.Buffer
	stage boot.Filesystem
	// menuAt is where the menu itself lies.
	menuAt boot.Filesystem
	// block is nil if GRUB can write nothing down.
	block  *remembered
	indent int
}

func (w *script) line(format string, args ...any) {
	if format != "" {
		w.buf.WriteString(strings.Repeat("  ", w.indent))
	}
	fmt.Fprintf(&w.buf, format, args...)
	w.buf.WriteByte('\n')
}

func (w *script) image(m *boot.Menu, image boot.MenuImage) error {
	for i, e := range image.Entries {
		if i == 1 {
			w.line("")
			w.line("submenu %s --class gitboot --unrestricted --id %s {", quote(image.Name+", older generations"), boot.OlderID(image.Name))
			w.indent++
		} else {
			w.line("")
		}
		if err := w.entry(m, image.Name, e); err != nil {
			return fmt.Errorf("entry %s: %w", e.ID, err)
		}
	}
	if w.indent > 0 {
		w.indent--
		w.line("}")
	}
	return nil
}

func (w *script) entry(m *boot.Menu, image string, e boot.Entry) error {
	if err := e.Check(w.stage); err != nil {
		return err
	}
	title := e.Title
	if e.State != "" && e.State != boot.Good {
		title += " [" + e.State + "]"
	}
	before, otherwise := "", "gitboot_failed"
	if e.ID == m.Default {
		if m.Tries > 0 {
			before = "gitboot_count"
		}
		if m.Fallback != "" {
			otherwise = "gitboot_fallback"
		}
	}
	w.line("menuentry %s --class gitboot --class %s --class gnu-linux --class os --unrestricted --id %s {", quote(title), quote(boot.IDPart(image)), e.ID)
	w.indent++
	w.line("gitboot_screen")
	err := w.kernel(e, before, otherwise)
	w.indent--
	w.line("}")
	return err
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

// path returns a path below the stage from the top of its file system.
func (w *script) path(p string) string { return path.Join(w.stage.Path, p) }
