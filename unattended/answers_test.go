package unattended

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/disk/layout"
)

const good = "#gitboot-install\nerase = true\ndevice = \"/dev/vda\"\nthen = \"poweroff\"\n"

func TestParse(t *testing.T) {
	a, err := Parse([]byte(good))
	if err != nil || !a.Erase || a.Device != "/dev/vda" || a.Then != PowerOff {
		t.Errorf("%+v, %v", a, err)
	}
	declared := layout.Disk{Serial: "S4*"}
	if got := a.Meant(declared); got.Device != "/dev/vda" || got.Serial != "" {
		t.Errorf("%+v is meant", got)
	}
	if a, err = Parse([]byte(Header + "\r\nerase = true\n")); err != nil || a.Meant(declared).Serial != "S4*" || a.Then != Reboot {
		t.Errorf("%+v, %v", a, err)
	}
}

// What is not exactly that is refused, and why is said.
func TestRefused(t *testing.T) {
	for text, why := range map[string]string{
		"":                                     "not for gitboot",
		"#cloud-config\nerase: true\n":         "the first line has to be #gitboot-install",
		"\n" + good:                            "not for gitboot",
		Header:                                 "they do not say erase = true",
		Header + "\nerase = false\n":           "they do not say erase = true",
		Header + "\nerase = \"true\"\n":        "incompatible types",
		Header + "\nerase = true\nerase = 1\n": "already been defined",
		Header + "\nerase = true\ndisk = 1\n":  "disk is nothing that can be said there",
		Header + "\nerAse = true\n":            "erAse is nothing that can be said there",
		good + "serial = \"S4*\"\n":            "give one of device, serial and size",
		strings.Replace(good, "/dev/vda", "/dev/../etc/shadow", 1):     "is no path of a disk",
		strings.Replace(good, "poweroff", "\\u001b[2J", 1):             "is neither reboot nor poweroff nor stay",
		Header + "\nerase = true\nsize = \"large\"\n":                  "is no bound",
		Header + "\nerase = true\nserial = \"[\"\n":                    "is no glob",
		Header + "\nerase = true\n" + strings.Repeat("#\n", MaxSize/2): "more than 65536 bytes",
		Header + "\nerase = true\nx = " + strings.Repeat("[", 40_000):  "",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.60q is refused because of %v, want %q", text, err, why)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%.60q comes through as it is: %q", text, err)
		}
	}
}

// FuzzParse holds that whatever a stranger writes, a disk is erased only where it says
// so, in the form that this has.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", good, Header + "\nerase = true\nsize = \">=1GB\"\nagain = true\nmachine = \"a\"\n", Header + "\n[erase]\n", "#cloud-config\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Parse(data)
		if err != nil {
			return
		}
		if !strings.HasPrefix(string(data), Header) || !strings.Contains(string(data), "erase") || !a.Erase {
			t.Fatalf("%q may have a disk erased", data)
		}
		if a.Device != "" && !strings.HasPrefix(a.Device, "/dev/") {
			t.Fatalf("%q means %q", data, a.Device)
		}
	})
}
