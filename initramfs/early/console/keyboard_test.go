package console

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a machine takes input from, as its kernel lists it.
const (
	powerButton = `I: Bus=0019 Vendor=0000 Product=0001 Version=0000
N: Name="Power Button"
P: Phys=PNP0C0C/button/input0
H: Handlers=kbd event0
B: PROP=0
B: EV=3
B: KEY=8000 10000000000000 0

`
	mouse = `I: Bus=0011 Vendor=0002 Product=0006 Version=0000
N: Name="ImExPS/2 Generic Explorer Mouse"
H: Handlers=mouse0 event1
B: EV=7
B: KEY=1f0000 0 0 0 0
B: REL=143

`
	keyboard = `I: Bus=0011 Vendor=0001 Product=0001 Version=ab41
N: Name="AT Translated Set 2 keyboard"
P: Phys=isa0060/serio0/input0
H: Handlers=sysrq kbd event2 leds
B: PROP=0
B: EV=120013
B: KEY=402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe
B: MSC=10
B: LED=7

`
)

func list(t *testing.T, path string, devices ...string) {
	t.Helper()
	temp := path + ".new"
	if err := os.WriteFile(temp, []byte(strings.Join(devices, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, path); err != nil {
		t.Fatal(err)
	}
}

func TestKeyboards(t *testing.T) {
	path := filepath.Join(t.TempDir(), "devices")
	if got := keyboards(path); len(got) > 0 {
		t.Errorf("without a list there are %q", got)
	}
	list(t, path, powerButton, mouse)
	if got := keyboards(path); len(got) > 0 {
		t.Errorf("%q are keyboards", got)
	}
	list(t, path, powerButton, keyboard, mouse, keyboard)
	const at = "AT Translated Set 2 keyboard"
	got := keyboards(path)
	if !slices.Equal(got, []string{at, at}) {
		t.Errorf("the keyboards are %q", got)
	}
	if more := beyond(got, []string{at}); !slices.Equal(more, []string{at}) {
		t.Errorf("%q have come", more)
	}
	if more := beyond(got[:1], got); len(more) > 0 {
		t.Errorf("%q have come, where one has gone", more)
	}
	for path, want := range map[string]bool{"/dev/tty0": true, "/dev/tty1": true, "/dev/ttyS0": false, "/dev/tty": false, "/dev/hvc0": false} {
		if isScreen(path) != want {
			t.Errorf("%s is a screen: %v", path, !want)
		}
	}
}

// A screen asks when a keyboard has come, while a serial port does so at once; and once
// more when another comes.
func TestAskOfKeyboards(t *testing.T) {
	one, atSerial := terminals(t)
	two, atScreen := terminals(t)
	path, screen := filepath.Join(t.TempDir(), "devices"), two.Name()
	list(t, path, powerButton)
	came := make(chan string, 2)
	q := inquiry{question: "Passphrase: ", screen: func(path string) bool { return path == screen }, inputs: path, came: func(name string) { came <- name }}
	go func() {
		read(t, atSerial, q.question)
		list(t, path, powerButton, keyboard)
		if name := <-came; name != "AT Translated Set 2 keyboard" {
			t.Errorf("%q has come", name)
		}
		read(t, atScreen, q.question)
		list(t, path, keyboard, keyboard)
		read(t, atScreen, q.question)
		if _, err := atScreen.WriteString("correct horse\n"); err != nil {
			t.Error(err)
		}
	}()
	line, err := q.ask(t.Context(), []*os.File{one, two})
	if err != nil || string(line) != "correct horse" || len(came) != 1 {
		t.Errorf("%q, %v, and %d keyboards have come", line, err, len(came))
	}
}
