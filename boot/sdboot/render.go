package sdboot

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gitboot/gitboot/boot"
)

// written begins each file of ours.
const written = "# Written by gitboot at each reconcile; changes are lost."

// trialMark is a line of what is on trial, whose name counts its boots.
const trialMark = "# Boots of this are counted in the file's name, until it proved good."

// Sort keys: "!" comes before all that distributions have, "~" after it.
const (
	firstKey = "!gitboot-"
	lastKey  = "~gitboot-"
)

// An entry is a file as it is to be.
type entry struct {
	id   string
	text string
	// counted says that its name is to have a count, or to have had one.
	counted bool
}

// render returns the files of a menu in a form, those that boot by themselves first.
func render(m boot.Menu, f form) ([]entry, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("write boot menu: %w", err)
	}
	var first, last []entry
	for at, e := range m.All() {
		key, counted := fmt.Sprintf("%s%03d", lastKey, at), false
		if m.Mode == boot.ModeManaged {
			switch e.ID {
			case m.Default:
				key, counted = firstKey+"0", m.Tries > 0
			case m.Fallback:
				key = firstKey + "1"
			}
		}
		text, err := entryText(m.Stage, e, f, key, counted)
		if err != nil {
			return nil, fmt.Errorf("write boot menu: entry %s: %w", e.ID, err)
		}
		one := entry{e.ID, text, counted}
		if strings.HasPrefix(key, firstKey) {
			first = append(first, one)
		} else {
			last = append(last, one)
		}
	}
	return append(first, last...), nil
}

// entryText is an entry's file. A value goes to the end of its line, less white space
// around it; nothing in it means anything to the boot loader.
func entryText(stage boot.Filesystem, e boot.Entry, f form, key string, counted bool) (string, error) {
	if err := e.Check(stage); err != nil {
		return "", err
	}
	if strings.TrimSpace(e.Title) == "" {
		return "", errors.New("it has no title")
	}
	starts, err := f.lines(stage, e)
	if err != nil {
		return "", err
	}
	lines := []string{written}
	if counted {
		lines = append(lines, trialMark)
	}
	title := strings.TrimSpace(e.Title)
	if e.State != "" && e.State != boot.Good {
		title += " [" + e.State + "]"
	}
	lines = append(append(lines, "title "+title, "sort-key "+key), starts...)
	return strings.Join(lines, "\n") + "\n", nil
}

// copyOf is where the boot loader finds an object.
func copyOf(object string) string { return "/" + copiesDir + "/" + path.Base(object) }

// settings are the lines of loader.conf that a menu wants.
func settings(m boot.Menu) (lines []string) {
	if m.Mode != boot.ModeManaged {
		return nil
	}
	if m.Default != "" {
		lines = append(lines, "default gitboot.none")
	}
	switch t := m.Timeout; {
	case t == nil:
	case *t < 0:
		lines = append(lines, "timeout menu-force")
	default:
		lines = append(lines, fmt.Sprintf("timeout %d", *t))
	}
	return lines
}
