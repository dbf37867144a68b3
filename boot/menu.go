package boot

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode"

	"github.com/gitboot/gitboot/deployment"
)

// Modes of a menu.
const (
	// ModeMenu adds entries and leaves default and timeout alone.
	ModeMenu = "menu"
	// ModeManaged also chooses the default.
	ModeManaged = "managed"
)

// What is known of a deployment. Trying and bad are shown in its title.
const (
	Good   = "good"
	Trying = "trying"
	Bad    = "bad"
)

// A Menu is everything that gitboot.cfg says.
type Menu struct {
	Stage Filesystem
	// Mode is ModeMenu or ModeManaged.
	Mode string
	// Default is the id of the entry that boots by itself. It is for mode
	// managed only, where it must name an entry if there is one.
	Default string
	// Timeout is in seconds, for mode managed only. nil leaves the
	// distribution's.
	Timeout *int
	Images  []MenuImage
}

// A MenuImage is one image's entries, newest first.
type MenuImage struct {
	Name    string
	Entries []Entry
}

// An Entry boots one deployment.
type Entry struct {
	// ID is EntryID's.
	ID, Title string
	// Kernel and Initrd are paths below the stage's directory.
	Kernel, Initrd string
	// Args are kernel arguments, one parameter each. gitboot's own come
	// first: what follows a "--" is init's.
	Args []string
	// State is Good, Trying, Bad or not known.
	State string
}

// EntryID returns the menu id of an image's deployment. It is not a number
// and has no ">", which GRUB would take as a position and as a path.
func EntryID(image, deployment string) string {
	return "gitboot-" + idPart(image) + "-" + idPart(deployment[:min(len(deployment), 16)])
}

var entryLine = regexp.MustCompile(`(?m)^\s*menuentry .* --id (\S+)`)

// EntryIDs returns the ids of the entries that a menu has, as Render wrote it.
func EntryIDs(menu []byte) map[string]bool {
	ids := map[string]bool{}
	for _, m := range entryLine.FindAllSubmatch(menu, -1) {
		ids[string(m[1])] = true
	}
	return ids
}

func olderID(image string) string { return "gitboot-" + idPart(image) + "-older" }

// idPart keeps different names different.
func idPart(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < 128 && (unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) || c == '-' || c == '.') {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

func (m *Menu) check() error {
	if m.Mode != ModeMenu && m.Mode != ModeManaged {
		return fmt.Errorf("mode %q is neither %s nor %s", m.Mode, ModeMenu, ModeManaged)
	}
	if m.Timeout != nil && *m.Timeout < -1 {
		return fmt.Errorf("timeout is %d; want seconds, or -1 to wait for ever", *m.Timeout)
	}
	if err := m.Stage.check(); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, image := range m.Images {
		if err := checkText("image name", image.Name); err != nil {
			return err
		}
		for _, id := range image.ids() {
			if seen[id] {
				return fmt.Errorf("image %q: menu id %q is there twice", image.Name, id)
			}
			seen[id] = true
		}
	}
	if m.Mode == ModeManaged && len(seen) > 0 && m.defaultPath() == "" {
		return fmt.Errorf("default %q is not an entry of the menu", m.Default)
	}
	return nil
}

func (image *MenuImage) ids() []string {
	var ids []string
	for _, e := range image.Entries {
		ids = append(ids, e.ID)
	}
	if len(ids) > 1 {
		ids = append(ids, olderID(image.Name))
	}
	return ids
}

// Check reports why an entry cannot be written into the menu of a stage. One
// that can be does not depend on the others.
func (e *Entry) Check(stage Filesystem) error {
	switch {
	case e.ID == "" || idPart(e.ID) != strings.ReplaceAll(e.ID, "_", "_5f") || e.ID[0] >= '0' && e.ID[0] <= '9':
		return fmt.Errorf("menu id %q is not one of EntryID's", e.ID)
	case e.State != "" && e.State != Good && e.State != Trying && e.State != Bad:
		return fmt.Errorf("entry %s has state %q", e.ID, e.State)
	}
	for _, p := range []string{e.Kernel, e.Initrd} {
		if p == "" || path.Clean("/"+p) != "/"+p {
			return fmt.Errorf("entry %s: %q is not a path below the stage", e.ID, p)
		}
		if err := checkText("path", p); err != nil {
			return err
		}
	}
	if err := checkText("title", e.Title); err != nil {
		return err
	}
	_, err := deployment.Words(path.Join(stage.Path, e.Kernel), e.Args)
	return err
}

func checkText(what, s string) error {
	if err := deployment.CheckText(s); err != nil {
		return fmt.Errorf("%s %.100q %w", what, s, err)
	}
	return nil
}

func (f Filesystem) check() error {
	switch {
	case !uuidForm.MatchString(f.UUID):
		return fmt.Errorf("the stage's file system has UUID %q, by which GRUB cannot find it", f.UUID)
	case f.Type != "" && grubModules[f.Type] == "":
		return fmt.Errorf("GRUB is not known to read %q", f.Type)
	case path.Clean(f.Path) != f.Path || !path.IsAbs(f.Path):
		return fmt.Errorf("the stage's path %q is not clean and absolute", f.Path)
	case strings.ContainsAny(f.Path, `"'\`):
		return errors.New("the stage's path has a quote or backslash in it; move it to a plainer place")
	}
	return checkText("path of the stage", f.Path)
}

// defaultPath returns how GRUB is told of the default: an older entry is
// named through its submenu.
func (m *Menu) defaultPath() string {
	for _, image := range m.Images {
		for i, e := range image.Entries {
			switch {
			case e.ID != m.Default:
			case i == 0:
				return e.ID
			default:
				return olderID(image.Name) + ">" + e.ID
			}
		}
	}
	return ""
}
