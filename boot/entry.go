package boot

import (
	"fmt"
	"path"
	"strings"
	"unicode"

	"github.com/gitboot/gitboot/deployment"
)

// What can be known of a deployment. All but good is shown in its title.
const (
	Good   = "good"
	Trying = "trying"
	Bad    = "bad"
	// Damaged: the stage lacks something of it, or has it otherwise than it was.
	Damaged = "damaged"
)

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
	return "gitboot-" + IDPart(image) + "-" + IDPart(deployment[:min(len(deployment), 16)])
}

// TrialID returns the menu id of a deployment that is only tried. No image's
// entry has such a one.
func TrialID(deployment string) string {
	return "gitboot.try-" + IDPart(deployment[:min(len(deployment), 16)])
}

// RecoveryID is the menu id of the recovery entry.
const RecoveryID = "gitboot.recovery"

// SafeGraphicsID is the menu id of the entry that keeps graphics drivers out.
const SafeGraphicsID = "gitboot.safe-graphics"

// OlderID returns the menu id of the submenu with an image's older entries.
func OlderID(image string) string { return "gitboot-" + IDPart(image) + "-older" }

// IDPart makes a word of a name; different names stay different.
func IDPart(s string) string {
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

// Check reports why an entry cannot be written into the menu of a stage. One
// that can be does not depend on the others.
func (e *Entry) Check(stage Filesystem) error {
	switch {
	case e.ID == "" || IDPart(e.ID) != strings.ReplaceAll(e.ID, "_", "_5f") || e.ID[0] >= '0' && e.ID[0] <= '9':
		return fmt.Errorf("menu id %q is not one of EntryID's", e.ID)
	case e.State != "" && e.State != Good && e.State != Trying && e.State != Bad && e.State != Damaged:
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
