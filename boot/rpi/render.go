package rpi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/rpi/tryboot"
	"github.com/gitboot/gitboot/deployment"
)

// entryMark begins the lines that say which entries there are.
const entryMark = "# Entry: "

// A rendered menu is what is written of one.
type rendered struct {
	// entries are lines that say which there are.
	entries []string
	// settings are the lines by which the firmware boots an entry.
	settings map[string][]string
	// arguments are files of kernel arguments, by their names.
	arguments map[string]string
}

func render(m boot.Menu) (rendered, error) {
	r := rendered{settings: map[string][]string{}, arguments: map[string]string{}}
	if err := m.Check(); err != nil {
		return r, fmt.Errorf("write boot menu: %w", err)
	}
	for _, e := range m.All() {
		if err := e.Check(m.Stage); err != nil {
			return r, fmt.Errorf("write boot menu: entry %s: %w", e.ID, err)
		}
		words, err := deployment.Words(copyOf(e.Kernel), e.Args)
		if err != nil {
			return r, fmt.Errorf("write boot menu: entry %s: %w", e.ID, err)
		}
		text := deployment.Line(words) + "\n"
		file := nameOf(text)
		r.arguments[file] = text
		r.entries = append(r.entries, entryMark+e.ID)
		r.settings[e.ID] = []string{
			tryboot.Boots(e.ID), "[all]", "arm_64bit=1", "auto_initramfs=0", "kernel=" + copyOf(e.Kernel),
			"initramfs " + copyOf(e.Initrd) + " followkernel", "cmdline=" + copyOf(file),
		}
	}
	return r, nil
}

// lines are those of our part of a file that boots an entry; "" leaves that to what stands
// above them.
func (r rendered) lines(boots string) []string {
	return append(append([]string{}, r.entries...), r.settings[boots]...)
}

// usual is the entry that config.txt boots, by what is remembered: one on trial boots by
// tryboot.txt alone, until it was found good. "" leaves that to what stands above our part;
// where nothing else boots (alone), something of ours has to, tried or not.
func usual(m boot.Menu, is boot.Memory, alone bool) string {
	switch {
	case m.Mode == boot.ModeManaged && (m.Tries == 0 || is.Good == m.Default):
		return m.Default
	case m.Mode == boot.ModeManaged && m.Fallback != "":
		return m.Fallback
	case alone:
		return first(m)
	}
	return ""
}

// first is the default, or the first entry where there is none; "" of an empty menu.
func first(m boot.Menu) string {
	if m.Default == "" {
		for _, e := range m.All() {
			return e.ID
		}
	}
	return m.Default
}

// copyOf is where the firmware finds one of our files.
func copyOf(object string) string { return "/" + copiesDir + "/" + path.Base(object) }

// argumentsEnd ends the names of files of kernel arguments, which are short enough for a
// line of 98 characters and tell all texts apart.
const argumentsEnd = ".txt"

func nameOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16]) + argumentsEnd
}

// isArguments reports whether a file has such a name.
func isArguments(name string) bool {
	hash, ok := strings.CutSuffix(name, argumentsEnd)
	return ok && len(hash) == 32 && strings.Trim(hash, "0123456789abcdef") == ""
}
