package bootcode

import (
	"fmt"
	"strings"
)

// An Entry is one of a medium's menu. Paths are the medium's; Words are the kernel's
// command line.
type Entry struct {
	Title, ID, Kernel, Initrd string
	Words                     []string
}

// MediumConfig is the grub.cfg of a medium that boots: its entries, of which one boots
// after some seconds.
func MediumConfig(serial *Console, entries []Entry, chosen string, timeout int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by gitboot disk iso.\nset default=%s\nset timeout=%d\n", chosen, timeout)
	if serial != nil {
		fmt.Fprintf(&b, serialPort, serial.Unit, serial.Speed)
	}
	b.WriteString("insmod all_video\n")
	for _, e := range entries {
		fmt.Fprintf(&b, "menuentry %s --id %s {\n  linux %s %s\n  initrd %s\n}\n", quoted(e.Title), e.ID, quoted(e.Kernel), arguments(e.Words), quoted(e.Initrd))
	}
	return b.String()
}

// arguments quotes a command line, for GRUB, which writes quotes of its own around what
// has a space: each word is one of its.
func arguments(words []string) string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = quoted(w)
	}
	return strings.Join(all, " ")
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
