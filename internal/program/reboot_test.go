package program

import (
	"testing"
	"time"
)

// As systemd 252 writes it for shutdown -r.
func TestRebootAt(t *testing.T) {
	const scheduled = "USEC=1764175380000000\nWARN_WALL=1\nMODE=reboot\nUID=0\nTTY=pts/1\nWALL_MESSAGE=gitboot: a=b\n"
	want := time.UnixMicro(1764175380000000)
	for text, known := range map[string]bool{
		scheduled: true,
		"USEC=1764175380000000\nWARN_WALL=1\nMODE=poweroff\n":          false,
		"USEC=1764175380000000\nWARN_WALL=0\nDRY_RUN=1\nMODE=reboot\n": false,
		"MODE=reboot\nUSEC=soon\n":                                     false,
		"":                                                             false,
	} {
		if at, ok := rebootAt([]byte(text)); ok != known || ok && !at.Equal(want) {
			t.Errorf("%q: %v, %t", text, at, ok)
		}
	}
}
