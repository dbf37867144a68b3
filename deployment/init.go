package deployment

import "strings"

// Inits are the paths at which process 1 looks for an image's init, in this order,
// as the kernel would without an initramfs; with init= only that one. The words are
// those of the kernel command line. Unlike the kernel it takes no shell for one.
func Inits(words []string) []string {
	paths := []string{"/sbin/init", "/etc/init", "/bin/init", "/usr/lib/systemd/systemd", "/lib/systemd/systemd"}
	for _, word := range words {
		if word == "--" {
			break
		}
		if init, ok := strings.CutPrefix(word, "init="); ok {
			paths = []string{init}
		}
	}
	return paths
}
