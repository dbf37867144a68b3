package grub

import (
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/boot/grub/env"
)

// Asked returns the entry that grub-reboot has asked the distribution's menu for, "" if
// that is none. From a deployment that runs it cannot be seen, nor asked for.
func Asked(g *GRUB) string {
	if g.dir == "" {
		return ""
	}
	data, err := os.ReadFile(filepath.Join(g.dir, "grubenv"))
	if err != nil {
		return ""
	}
	vars, err := env.Parse(data)
	if err != nil {
		return "" // GRUB cannot read it either
	}
	asked, _ := vars.Get("next_entry")
	return asked
}
