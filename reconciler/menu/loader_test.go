package menu

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/boot"
)

// A folder that is named is systemd-boot's where that is in it, and else GRUB's; what
// is declared goes before.
func TestWhich(t *testing.T) {
	s := newShelf(t)
	grub, esp, state := s.Folder, t.TempDir(), *s.doc
	file := filepath.Join(esp, "EFI/systemd/systemd-bootx64.efi")
	must(t, errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("MZ"), 0o600)))
	entries := filepath.Join(esp, "loader/entries")
	for _, c := range []struct{ folder, declared, want string }{
		{grub, "", boot.GRUB}, {esp, "", boot.SystemdBoot}, {esp, boot.SystemdBoot, boot.SystemdBoot}, {esp, boot.GRUB, boot.GRUB},
	} {
		s.Folder, s.Declared, state.Loader = c.folder, &boot.Choice{Loader: c.declared}, c.declared
		if name, why := Which(s.Book); name != c.want || why == "" {
			t.Errorf("in %s with %q declared it is %s", c.folder, c.declared, name)
		}
		must(t, s.Publish(t.Context(), where, &state))
		must(t, s.Link(t.Context(), where))
		if _, err := os.Stat(entries); (err == nil) != (c.want == boot.SystemdBoot) {
			t.Errorf("in %s with %q declared the entries are there: %v", c.folder, c.declared, err)
		}
		must(t, os.RemoveAll(entries))
		shown, err := s.Shown()
		if err != nil || (len(shown) == 0) != (c.want == boot.SystemdBoot) {
			t.Errorf("shown are %v, %v", shown, err)
		}
		if _, err := Unlink(c.folder, s.Stage.Dir()); err != nil {
			t.Error(err)
		}
	}
}
