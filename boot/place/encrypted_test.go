package place

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// What sysfs says of an encrypted disk, written by hand, leads to the UUID of a header
// that cryptsetup has made.
func TestEncryptedOf(t *testing.T) {
	need.Program(t, "cryptsetup")
	const uuid = "6d1f5b52-8c3a-4f5e-9a54-0d8f6f1c2b3a"
	sys, disk := t.TempDir(), filepath.Join(t.TempDir(), "disk")
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(disk, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("cryptsetup", "-q", "luksFormat", "--uuid", uuid, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "-d", "/dev/zero", "--keyfile-size", "8", disk).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	write("slaves/disk/uevent", "DEVNAME=.."+disk+"\n")
	write("dm/uuid", "CRYPT-LUKS2-6d1f5b528c3a4f5e9a540d8f6f1c2b3a-vda3_crypt\n")
	c, err := follow(sys)
	got, err2 := c.assembly()
	if err := errors.Join(err, err2); err != nil || string(got) != "luks:"+uuid || len(c.encrypted) != 1 || c.encrypted[0].Path != "/dev/.."+disk {
		t.Errorf("it is on %q: %v, %+v", got, err, c.encrypted)
	}
	// who looks for it finds it where that was assembled alone
	if err := c.within(got); err != nil {
		t.Error(err)
	}
	if err := c.within("lvm:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"); err == nil || !strings.Contains(err.Error(), "is not assembled at boot") {
		t.Error(err)
	}
	write("dm/uuid", "CRYPT-PLAIN-swap\n")
	if c, err := follow(sys); err == nil || !strings.Contains(err.Error(), "not with LUKS") {
		t.Errorf("it is on %+v: %v", c, err)
	}
}
