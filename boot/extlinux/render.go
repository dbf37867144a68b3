package extlinux

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
)

// render returns the lines of a menu.
func render(m boot.Menu) ([]string, error) {
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("write boot menu: %w", err)
	}
	var first, fallback, rest []string
	for _, e := range m.All() {
		lines, err := entry(m.Stage, e)
		if err != nil {
			return nil, fmt.Errorf("write boot menu: entry %s: %w", e.ID, err)
		}
		switch {
		case m.Mode == boot.ModeManaged && e.ID == m.Default:
			first = lines
		case m.Mode == boot.ModeManaged && e.ID == m.Fallback:
			fallback = lines
		default:
			rest = append(rest, lines...)
		}
	}
	return append(append(append(first, fallback...), rest...), chosen(m)...), nil
}

// labelKey begins an entry.
const labelKey = "LABEL "

func entry(stage boot.Filesystem, e boot.Entry) ([]string, error) {
	if err := e.Check(stage); err != nil {
		return nil, err
	}
	title := strings.TrimSpace(e.Title)
	if e.State != "" && e.State != boot.Good {
		title += " [" + e.State + "]"
	}
	words, err := deployment.Words(copyOf(e.Kernel), e.Args)
	if err != nil {
		return nil, err
	}
	if err := deployment.CheckMacros(words); err != nil {
		return nil, err
	}
	lines := []string{labelKey + e.ID, "  MENU LABEL " + title, "  LINUX " + copyOf(e.Kernel), "  INITRD " + copyOf(e.Initrd)}
	if len(words) > 0 {
		lines = append(lines, "  APPEND "+deployment.Line(words))
	}
	for _, value := range []string{title, deployment.Line(words)} {
		if strings.HasPrefix(value, "#") {
			return nil, fmt.Errorf("%.40q begins with #, which makes a comment of it", value)
		}
	}
	if title == "" {
		return nil, errors.New("it has no title")
	}
	return lines, nil
}

// copyOf is where U-Boot finds an object, from the file's folder.
func copyOf(object string) string { return copiesDir + "/" + path.Base(object) }

// chosen are the lines that say what boots by itself.
func chosen(m boot.Menu) (lines []string) {
	if m.Mode != boot.ModeManaged {
		return nil
	}
	if m.Default != "" {
		lines = append(lines, "DEFAULT "+m.Default)
	}
	switch t := m.Timeout; {
	case t == nil:
	case *t < 0:
		lines = append(lines, "PROMPT 1", "TIMEOUT 0")
	case *t == 0:
		lines = append(lines, "PROMPT 0", "TIMEOUT 0")
	default:
		lines = append(lines, "PROMPT 1", fmt.Sprintf("TIMEOUT %d", *t*10)) // tenths of a second
	}
	return lines
}
