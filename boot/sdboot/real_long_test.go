//go:build long

package sdboot

import (
	"testing"

	"github.com/gitboot/gitboot/boot/loader/suite"
)

// What the model passes, a real systemd-boot does, too, as far as nobody presses a key
// and the firmware is asked for nothing.
func TestLongMemory(t *testing.T) {
	needMachine(t)
	suite.RunMemory(t, func(t *testing.T) suite.Counting { return open(t) }, suite.Way{InNames: true}, func(t *testing.T, l suite.Counting, how suite.Boot) string {
		once, err := l.(*Loader).vars.get(oneShotVar)
		must(t, err)
		if once != "" || how.Chosen {
			return model{l.(*Loader), how}.boot(t)
		}
		return machine{l.(*Loader), how}.boot(t)
	})
}
