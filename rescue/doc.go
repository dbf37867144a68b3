// Package rescue is what runs on a machine whose recovery entry was booted: it
// brings the network up and lets the machine's admins in by ssh. It needs nothing
// but the kernel and the initramfs that it lies in, not even a disk.
//
// Who may log in, and how the network is reached, is in its folder:
//
//	authorized_keys  one key a line, as OpenSSH reads them (sshd(8)), without options
//	network.json     a Network; not there: every interface asks for an address by DHCP
//	host_key         optional: a private key in PEM or OpenSSH's form; without it one
//	                 is made for this boot, and shown on the console
package rescue

// The files of the folder.
const (
	KeysFile    = "authorized_keys"
	NetworkFile = "network.json"
	HostKeyFile = "host_key"
)
