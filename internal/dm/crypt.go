package dm

import (
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Crypt is a device whose data is another's, decrypted.
type Crypt struct {
	Name, UUID string
	// Device is a block device, such as /dev/vda3. Offset is where in it the data
	// begins, and Size how long that is, in bytes.
	Device       string
	Offset, Size int64
	// Tweak is the number of the first sector, as the cipher counts them; Cipher,
	// Options and the size of a Sector are as dm-crypt takes them.
	Tweak   uint64
	Cipher  string
	Sector  int
	Options []string
}

// table is what the kernel's target reads.
func (c Crypt) table(key string) string {
	t := fmt.Sprintf("%s %s %d %s %d", c.Cipher, key, c.Tweak, c.Device, c.Offset/sector)
	options := slices.Clone(c.Options)
	if c.Sector != sector {
		options = append(options, fmt.Sprintf("sector_size:%d", c.Sector))
	}
	if len(options) > 0 {
		t += fmt.Sprintf(" %d %s", len(options), strings.Join(options, " "))
	}
	return t
}

// Decrypt makes a device and returns its path. The key is the caller's to clear.
func (c *Control) Decrypt(d Crypt, key []byte) (path string, err error) {
	size := d.Size / int64(d.Sector) * int64(d.Sector)
	if size <= 0 {
		return "", fmt.Errorf("making the decrypted device %s of %s: it has no room for data", d.Name, d.Device)
	}
	err = withKey(d.Name, key, func(known string) error {
		path, err = c.make(d.Name, d.UUID, 0, target{length: size / sector, kind: "crypt", params: d.table(known)})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("making the decrypted device %s of %s: %w", d.Name, d.Device, err)
	}
	return path, nil
}

// withKey calls use with what a key is called in a table. It is in a keyring of the
// kernel's for as long as that takes, so that nobody reads it in the device's table
// afterwards; a kernel without keyrings is told the key itself.
func withKey(name string, key []byte, use func(known string) error) error {
	runtime.LockOSThread() // the keyring is the thread's
	defer runtime.UnlockOSThread()
	description := "cryptsetup:" + name
	id, err := unix.AddKey("logon", description, key, unix.KEY_SPEC_THREAD_KEYRING)
	if err != nil {
		return use(hex.EncodeToString(key))
	}
	defer func() { _, _ = unix.KeyctlInt(unix.KEYCTL_INVALIDATE, id, 0, 0, 0) }() // the device has its own by then
	return use(fmt.Sprintf(":%d:logon:%s", len(key), description))
}
