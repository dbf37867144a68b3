package containerfile

import (
	"slices"
	"strings"
)

// A Mount is what a step sees besides the image (RUN --mount).
type Mount struct {
	Type   string // bind, cache, tmpfs, secret or ssh
	Source string
	Target string
	From   string // a stage or an image, "" for the context
	ID     string
}

// ParseMount reads a flag of RUN.
func ParseMount(flag string) (m Mount, ok bool) {
	options, ok := strings.CutPrefix(flag, "--mount=")
	m = Mount{Type: "bind", Source: "."}
	for option := range strings.SplitSeq(strings.Trim(options, `"'`), ",") {
		key, value, _ := strings.Cut(option, "=")
		switch strings.ToLower(key) {
		case "type":
			m.Type = value
		case "source", "src":
			m.Source = value
		case "target", "dst", "destination":
			m.Target = value
		case "from":
			m.From = value
		case "id":
			m.ID = value
		}
	}
	return m, ok
}

// Binds returns what the mounts of a RUN show of the context.
func (i Instruction) Binds() (names []string) {
	for _, f := range i.Flags() {
		if m, ok := ParseMount(f.Text); ok && m.Type == "bind" && m.From == "" {
			names = append(names, m.Source)
		}
	}
	return names
}

func checkMount(flag string) (wrong, hint string) {
	m, ok := ParseMount(flag)
	kinds := []string{"bind", "cache", "tmpfs", "secret", "ssh"}
	switch {
	case !ok || strings.Contains(m.Type, "$"):
	case !slices.Contains(kinds, m.Type):
		return "there is no such type of mount", "write type=" + strings.Join(kinds, ", type=")
	case m.Target == "" && slices.Contains(kinds[:3], m.Type):
		return "it has no target", "add target=FOLDER"
	}
	return "", ""
}
