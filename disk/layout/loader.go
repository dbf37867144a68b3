package layout

import "fmt"

// Loader is the boot loader of the disks that gitboot makes.
const Loader = "grub"

// CheckLoader refuses a machine whose boot loader, "" for the one that is there, is not
// the one that its disk would have.
func CheckLoader(declared string) error {
	if declared == "" || declared == Loader {
		return nil
	}
	return fmt.Errorf("boot.loader is %q, and a disk that gitboot makes boots with %s; write loader = %q, or leave the disk out and install the other boot loader yourself", declared, Loader, Loader)
}
