// Package rescue is what runs on a machine whose recovery entry was booted: it
// brings the network up and lets the machine's admins in by ssh. It needs nothing
// but the kernel and the initramfs that it lies in, not even a disk. Who may log in,
// and how the network is reached, is in a folder (package folder).
package rescue
