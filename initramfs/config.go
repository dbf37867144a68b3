package initramfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gitboot/gitboot/rootfs"
)

// A kernelConfig is what a kernel was built with; nil if the image doesn't
// say.
type kernelConfig map[string]string

func readConfig(t *rootfs.Tree, k Kernel) (kernelConfig, error) {
	for _, name := range configPaths(k) {
		data, err := t.ReadFile(name, rootfs.MaxRead)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return parseConfig(string(data)), nil
	}
	return nil, nil
}

func configPaths(k Kernel) []string {
	return []string{
		"boot/config-" + k.Version,
		path.Join("lib/modules", k.Version, "config"),
		path.Join("usr/lib/modules", k.Version, "config"),
	}
}

func parseConfig(text string) kernelConfig {
	c := make(kernelConfig)
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.HasPrefix(key, "CONFIG_") {
			c[key] = value
		}
	}
	return c
}

// zstdSince is the first Linux that can unpack a zstd initramfs.
const zstdSince = "5.9"

// compression chooses what the kernel can unpack.
func (c kernelConfig) compression(version string) string {
	known, can := c != nil, c["CONFIG_RD_ZSTD"] == "y"
	if !known {
		can = compareVersions(version, zstdSince) >= 0
	}
	if can {
		return "zstd"
	}
	return "gzip"
}

// checkSquashfs stands in for the configuration where the image has none: a
// squashfs module that reads zstd imports its functions.
func (s *moduleSet) checkSquashfs(version string) error {
	m := s.byName["squashfs"]
	if m == nil {
		return nil // built in: nothing tells
	}
	if err := s.read(m); err != nil {
		return err
	}
	for _, name := range m.imports {
		if strings.HasPrefix(strings.ToLower(name), "zstd_") {
			return nil
		}
	}
	return fmt.Errorf("checking the squashfs module of kernel %s: it doesn't read zstd (CONFIG_SQUASHFS_ZSTD), which the layers are made with; put a kernel with it into the image", version)
}
