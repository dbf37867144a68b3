package rehearsal

import (
	"math"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/qemu"
)

// A panic is found though more lines than are shown follow it.
func TestPanicIsFound(t *testing.T) {
	console := qemu.NewConsole(nil)
	for _, text := range []string{
		"[    5.9] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000200\r\n",
		strings.Repeat("[    5.9]  ? do_syscall_64+0x55/0xb0\r\n", 2*shown),
		"[    6.0] Rebooting in 1 seconds..\r\n",
	} {
		if _, err := console.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	why, panicked := panicIn(console.Last(math.MaxInt))
	if want := "Attempted to kill init! exitcode=0x00000200"; !panicked || why != want {
		t.Errorf("panicked of %q (%v), want %q", why, panicked, want)
	}
	if why, panicked := panicIn([]string{"lab: up"}); panicked {
		t.Errorf("panicked of %q without a panic", why)
	}
}
