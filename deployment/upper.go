package deployment

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// UpperMount is where the running system finds the folder that holds the writable
// layer, if that is on a disk; root's alone.
const UpperMount = "/run/initramfs/gitboot-root"

// Folders of an image's below the one that an Upper names, each with the folders
// upper and work of overlayfs in it: they are apart so that what was kept is not
// wiped by who changes his mind.
const (
	UpperKept  = "kept"
	UpperWiped = "wiped"
	// UpperReset is the file beside them that says what of UpperKept is to be given
	// up at the next boot: paths of the root file system, one a line, "/" for all.
	UpperReset = "reset"
)

// FormatReset writes UpperReset.
func FormatReset(paths []string) []byte { return []byte(strings.Join(paths, "\n") + "\n") }

// ParseReset reads it, whatever is in it: absolute paths that lead out of nowhere.
func ParseReset(text []byte) (paths []string) {
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			paths = append(paths, path.Clean("/"+line))
		}
	}
	return paths
}

// An Upper says where on a disk the writable layer lies.
type Upper struct {
	// Location is the folder. Its Device is "" for the stage's own file system.
	Device string `json:"device,omitempty"`
	Path   string `json:"path"`
	// Persistent keeps what was written, for each image apart; else it is wiped at
	// each boot.
	Persistent bool `json:"persistent,omitempty"`
}

// Folder is that of an image's writable layer, below UpperMount.
func (u *Upper) Folder(image string) string {
	if u.Persistent {
		return image + "/" + UpperKept
	}
	return image + "/" + UpperWiped
}

// Equal reports whether both say the same; nil is memory.
func (u *Upper) Equal(other *Upper) bool {
	if u == nil || other == nil {
		return u == other
	}
	return *u == *other
}

// String says in a few words where the writable layer is.
func (u *Upper) String() string {
	if u == nil {
		return "in memory"
	}
	kind := "wiped at each boot"
	if u.Persistent {
		kind = "kept"
	}
	if u.Device == "" {
		return kind + ", in " + u.Path + " beside the stage"
	}
	return kind + ", in " + Location{u.Device, u.Path}.String()
}

// validate reports what keeps u from being mounted.
func (u *Upper) validate(image string) error {
	switch {
	case u == nil:
		return nil
	case u.Device != "" && !validDevice(u.Device):
		return fmt.Errorf("its device %.100q is none of UUID=…, LABEL=…, PARTUUID=… and /dev/…", u.Device)
	case !path.IsAbs(u.Path) || path.Clean(u.Path) != u.Path || u.Path == "/":
		return fmt.Errorf("its folder %.100q is no clean absolute path of a folder", u.Path)
	case image == "." || image == ".." || strings.Contains(image, "/"):
		return errors.New("an image of that name has no folder")
	}
	return nil
}
