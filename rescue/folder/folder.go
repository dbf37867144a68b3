// Package folder is the contract of gitboot, which makes recovery entries, and
// gitboot-rescue, which runs in them: the files of a folder in the initramfs.
package folder

// The files. The initramfs has them in initramfs.RecoveryDir.
const (
	// Keys are who may log in, one a line, as OpenSSH reads them, without options.
	Keys = "authorized_keys"
	// NetworkFile is a Network; without it every interface asks for an address by
	// DHCP.
	NetworkFile = "network.json"
	// HostKey is a private key, in PEM or OpenSSH's form; without it the one that is
	// kept on the stage is taken.
	HostKey = "host_key"
)

// KeptHostKey is the name of the host key that a stage keeps among its secrets, the
// one that the hook ssh-host-keys gives the machine, too: whoever has reached the one
// knows the other. StageHostKey is where it is once the stage is mounted; if it is not,
// a key is made for this boot.
const (
	KeptHostKey  = "ssh_host_ed25519_key"
	StageHostKey = "/run/initramfs/gitboot/secrets/" + KeptHostKey
)

// A Network is a fixed address, for a machine that gets none by DHCP. The zero value
// is DHCP on every interface.
type Network struct {
	// Interface has the address, by the kernel's own name; "" for the first one.
	Interface string `json:"interface,omitempty"`
	// Address is in CIDR form: 192.0.2.5/24.
	Address string `json:"address,omitempty"`
	Gateway string `json:"gateway,omitempty"`
	// Nameservers are addresses.
	Nameservers []string `json:"nameservers,omitempty"`
}
