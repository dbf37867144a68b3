package boot

import "fmt"

// Manageable says why a machine may not have mode managed, nil if it may: where the
// boot loader cannot count boots, for the reason given, the machine would not fall
// back from what does not boot. One that has been run so, and has something staged,
// goes on, and is warned.
func Manageable(mode string, staged bool, uncounted error) error {
	if mode != ModeManaged || staged || uncounted == nil {
		return nil
	}
	return fmt.Errorf("boot.mode = %q needs boots to be counted: %w; or declare boot.mode = %q, where the boot menu's default stays another system's", ModeManaged, uncounted, ModeMenu)
}
