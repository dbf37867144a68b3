// Package unattended is how a machine is installed with nobody there: a file says which
// disk is meant and that all on it may be lost. It lies on the installation medium, at
// a URL, or is what a cloud keeps for its machines as user data:
//
//	#gitboot-install
//	erase  = true
//	device = "/dev/vda"
//
// Whoever may write it may have a disk erased, so that what is not exactly this is
// refused, and what is not said is not assumed.
package unattended

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/internal/plain"
)

// Header is the first line of answers. It tells them from other user data.
const Header = "#gitboot-install"

// MaxSize is how many bytes answers may have.
const MaxSize = 64 << 10

// What is done in the end.
const (
	Reboot   = "reboot"
	PowerOff = "poweroff"
	Stay     = "stay"
)

// Answers are what somebody would be asked.
type Answers struct {
	// Erase has to be true: all on the disk is lost.
	Erase bool `toml:"erase"`
	// Again has a disk erased that this installation is on already: a machine that
	// starts from its medium once more would begin anew each time.
	Again bool `toml:"again"`
	// Machine, if it is given, has to be the one that is installed.
	Machine string `toml:"machine"`
	// Device, Serial and Size say which disk is meant, as in [machine.NAME.disk]; one at
	// most, and none for what is declared there.
	Device string `toml:"device"`
	Serial string `toml:"serial"`
	Size   string `toml:"size"`
	// Then is Reboot, PowerOff or Stay.
	Then string `toml:"then"`
}

// keys are all that can be said.
func keys() []string {
	return []string{"erase", "again", "machine", "device", "serial", "size", "then"}
}

// Parse reads answers, whoever wrote them.
func Parse(data []byte) (a Answers, err error) {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	switch {
	case len(data) > MaxSize:
		return a, fmt.Errorf("they have more than %d bytes; they say which disk is meant, and little else", MaxSize)
	case string(bytes.TrimRight(line, "\r \t")) != Header:
		return a, fmt.Errorf("they are not for gitboot: the first line has to be %s", Header)
	}
	meta, err := toml.Decode(string(data), &a)
	if err != nil {
		return Answers{}, errors.New(plain.Line(err.Error()))
	}
	for _, key := range meta.Keys() { // the decoder takes erAse for erase
		if !slices.Contains(keys(), key.String()) {
			return Answers{}, fmt.Errorf("%s is nothing that can be said there; there are %s", plain.Line(key.String()), strings.Join(keys(), ", "))
		}
	}
	if a.Then == "" {
		a.Then = Reboot
	}
	return a, a.check()
}

func (a Answers) check() error {
	said := 0
	for _, s := range []string{a.Device, a.Serial, a.Size} {
		if s != "" {
			said++
		}
	}
	_, badGlob := path.Match(a.Serial, "")
	switch {
	case !a.Erase:
		return errors.New("they do not say erase = true, and all on a disk would be lost")
	case said > 1:
		return errors.New("they say in more than one way which disk is meant; give one of device, serial and size")
	case a.Device != "" && (!strings.HasPrefix(a.Device, "/dev/") || path.Clean(a.Device) != a.Device):
		return fmt.Errorf("device = %q is no path of a disk; write one such as /dev/vda", plain.Visible(a.Device))
	case badGlob != nil:
		return fmt.Errorf("serial = %q is no glob", plain.Visible(a.Serial))
	case a.Size != "" && !layout.Bound(a.Size).Valid():
		return fmt.Errorf("size = %q is no bound; write for example >=200GB, <1TB or =500GB", plain.Visible(a.Size))
	case !slices.Contains([]string{Reboot, PowerOff, Stay}, a.Then):
		return fmt.Errorf("then = %q is neither %s nor %s nor %s", plain.Visible(a.Then), Reboot, PowerOff, Stay)
	}
	return nil
}

// Meant is the disk that is meant, of what is declared if nothing is said.
func (a Answers) Meant(declared layout.Disk) layout.Disk {
	if a.Device == "" && a.Serial == "" && a.Size == "" {
		return declared
	}
	return layout.Disk{Device: a.Device, Serial: a.Serial, Size: a.Size}
}
