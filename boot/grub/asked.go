package grub

import (
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/boot/grub/env"
)

// asked returns the entry that the distribution's block asks for once, "" if that is
// none.
func asked(dir string) string {
	data, err := os.ReadFile(filepath.Join(dir, "grubenv"))
	if err != nil {
		return ""
	}
	vars, err := env.Parse(data)
	if err != nil {
		return "" // GRUB cannot read it either
	}
	entry, _ := vars.Get("next_entry")
	return entry
}
