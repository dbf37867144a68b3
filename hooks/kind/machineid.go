package kind

import (
	"cmp"
	"strings"

	"github.com/gitboot/gitboot/hooks/check"
)

// MachineID writes /etc/machine-id.
type MachineID struct {
	// Value is 32 lower-case hex digits; empty means generated once.
	Value string `key:"value" is:"template" doc:"32 hex digits; machine_id if absent; else generated once and kept on the stage."`
}

func (m *MachineID) Help() Help {
	return Help{
		Summary: "write /etc/machine-id, the same at every boot",
		Text: `Writes machine-id(5), so that a machine that forgets everything at shutdown
keeps its identity in logs and DHCP. /var/lib/dbus/machine-id becomes a link to it,
because D-Bus must not see another one.

value  32 lower-case hex digits. If it is left out, one is generated the first
       time and kept on the stage.`,
	}
}

func (m *MachineID) Paths(string) []string {
	return []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}
}

func (m *MachineID) Complete(machine Machine) { m.Value = cmp.Or(m.Value, machine.ID) }

func (m *MachineID) Check() (ps check.Problems) {
	if m.Value != "" {
		ps.Add(m.Value, WrongMachineID(m.Value), "write 32 lower case hex digits, as in /etc/machine-id", "value")
	}
	return ps
}

// WrongMachineID returns what is wrong with a machine-id(5), or "".
func WrongMachineID(id string) string {
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || strings.Trim(id, "0") == "" {
		return "is not a machine id: 32 lower-case hex digits, not all zero"
	}
	return ""
}
