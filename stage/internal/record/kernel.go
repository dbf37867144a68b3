package record

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// A Kernel remembers what was made of an image's kernel.
type Kernel struct {
	// Version is the release string, the name of the module directory.
	Version   string            `json:"version"`
	Kernel    deployment.Object `json:"kernel"`
	Initramfs deployment.Object `json:"initramfs"`
}

// validKey keeps a key from being a path.
func validKey(key string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return key != "" && len(key) <= 200 && strings.Trim(key, allowed) == ""
}

// KernelPath returns where the record of a key lies in the folder of records.
func KernelPath(dir, key string) (string, error) {
	if !validKey(key) {
		return "", fmt.Errorf("kernel record %q: a key consists of letters, digits, - and _", key)
	}
	return filepath.Join(dir, key+".json"), nil
}
