package boot

import (
	"fmt"
	"strings"
)

// Names of boot loaders, as they are declared.
const (
	GRUB        = "grub"
	SystemdBoot = "systemd-boot"
	// Extlinux is what reads an extlinux.conf, U-Boot above all. It is never guessed.
	Extlinux = "extlinux"
	// RaspberryPi is the firmware of a Raspberry Pi.
	RaspberryPi = "rpi"
)

// A Choice is what is declared of a machine's boot loader.
type Choice struct {
	// Loader is its name, "" for the one that is there.
	Loader string
	// SecureBoot has everything that it starts be signed.
	SecureBoot bool
}

// Installed is what is known of a machine's boot loaders.
type Installed struct {
	// GRUB and SystemdBoot report whether they were found.
	GRUB, SystemdBoot bool
	// RaspberryPi reports whether this is a Raspberry Pi, and its boot partition was found.
	RaspberryPi bool
	// Running is what has started this system, as it says of itself, "" if nothing did
	// that says so.
	Running string
}

// Which says which boot loader shows a machine's menu, and why: the one that is
// declared, else the one that has started the machine, else the one that is there.
// Where none is, it is GRUB.
func Which(declared string, there Installed) (name, why string) {
	switch {
	case declared != "":
		return declared, "it is declared"
	case strings.HasPrefix(there.Running, SystemdBoot):
		return SystemdBoot, fmt.Sprintf("%.80s has started this system", there.Running)
	case there.SystemdBoot && !there.GRUB:
		return SystemdBoot, "it is there, and GRUB is not"
	case there.RaspberryPi && !there.GRUB:
		return RaspberryPi, "this is a Raspberry Pi, and there is no other"
	}
	return GRUB, "nothing says that it is another"
}
