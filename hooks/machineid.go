package hooks

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

var machineIDHelp = Help{
	Name:    "machine-id",
	Summary: "write /etc/machine-id, the same at every boot",
	Text: `Writes machine-id(5), so that a machine that forgets everything at shutdown
keeps its identity in logs and DHCP. /var/lib/dbus/machine-id becomes a link to it,
because D-Bus must not see another one.

value  32 lower-case hex digits. If it is left out, one is generated the first
       time and kept on the stage.`,
}

func (m *MachineID) render(r *renderer, hook string) error {
	id := m.Value
	if id == "" {
		kept, err := r.keep("machine-id", newMachineID)
		if err != nil {
			return err
		}
		id = strings.TrimSpace(string(kept))
	}
	if err := checkMachineID(id); err != nil {
		return err
	}
	return r.files(hook, []File{
		{Path: "/etc/machine-id", Mode: 0o444, Content: []byte(id + "\n")},
		{Path: "/var/lib/dbus/machine-id", Link: "/etc/machine-id"},
	})
}

// newMachineID makes a random UUID of version 4, as machine-id(5) says.
func newMachineID() ([]byte, error) {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return []byte(hex.EncodeToString(b[:]) + "\n"), nil
}

func checkMachineID(id string) error {
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || strings.Trim(id, "0") == "" {
		return fmt.Errorf("machine id %.40q is not 32 lower-case hex digits, not all zero", id)
	}
	return nil
}
