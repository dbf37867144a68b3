package layout

// What a machine's processor is, in the words of Go and of OCI images.
const (
	AMD64 = "amd64"
	ARM64 = "arm64"
)

// Architectures are those of machines that disks are made for.
func Architectures() []string { return []string{AMD64, ARM64} }

// hasBIOS reports whether there are machines of an architecture that start by a BIOS;
// "" is not known.
func hasBIOS(arch string) bool { return arch != ARM64 }
