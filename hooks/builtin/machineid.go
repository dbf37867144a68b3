package builtin

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
)

func machineID(r *Target, m *kind.MachineID) error {
	id := m.Value
	if id == "" {
		kept, err := keep(r, "machine-id", newMachineID)
		if err != nil {
			return err
		}
		id = strings.TrimSpace(string(kept))
	}
	if wrong := kind.WrongMachineID(id); wrong != "" {
		return fmt.Errorf("%.40q, kept on the stage, %s; remove it to have a new one made", id, wrong)
	}
	return r.files(
		kind.File{Path: "/etc/machine-id", Mode: 0o444, Content: []byte(id + "\n")},
		kind.File{Path: "/var/lib/dbus/machine-id", Link: "/etc/machine-id"})
}

// newMachineID makes a random UUID of version 4, as machine-id(5) says.
func newMachineID() ([]byte, error) {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return []byte(hex.EncodeToString(b[:]) + "\n"), nil
}
