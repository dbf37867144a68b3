package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"
)

// volatile are paths whose content tells when, or how often, software was
// installed, and nothing of what was: two builds never agree in them. Those
// that end in a slash stand for all below.
var volatile = []string{
	"tmp/", "var/tmp/", "run/", "var/log/", "root/.cache/",
	"var/cache/apt/", "var/cache/ldconfig/", "var/cache/debconf/*-old", "var/lib/apt/lists/", "var/lib/dpkg/*-old",
	"var/cache/dnf/", "var/cache/yum/", "var/cache/zypp/", "var/cache/apk/", "var/cache/pacman/", "var/lib/pacman/sync/", "var/cache/xbps/",
	"etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/subuid-", "etc/subgid-",
	"etc/machine-id", "var/lib/dbus/machine-id", "var/lib/systemd/random-seed", "etc/ssh/ssh_host_*",
	"boot/initrd.img-*", "boot/initramfs-*", // gitboot makes its own
}

// Same reports whether two images differ in nothing but volatile files. It
// reads those of their layers that differ.
func Same(ctx context.Context, a, b Image) (bool, error) {
	if len(a.Layers) != len(b.Layers) {
		return false, nil
	}
	for i := range a.Layers {
		if a.Layers[i].DiffID == b.Layers[i].DiffID {
			continue
		}
		one, err := fingerprints(ctx, a.Layers[i])
		if err != nil {
			return false, err
		}
		two, err := fingerprints(ctx, b.Layers[i])
		if err != nil || !maps.Equal(one, two) {
			return false, err
		}
	}
	return true, nil
}

// fingerprints hashes the entries of a layer, but for the volatile ones.
func fingerprints(ctx context.Context, l Layer) (map[string][sha256.Size]byte, error) {
	r, err := l.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out := map[string][sha256.Size]byte{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read layer %s: %w", l.DiffID, err)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if isVolatile(name) {
			continue
		}
		if out[name], err = fingerprint(h, archive, name); err != nil {
			return nil, fmt.Errorf("read layer %s: %w", l.DiffID, err)
		}
	}
}

func isVolatile(name string) bool {
	dir, base := path.Split(name)
	name = dir + strings.TrimPrefix(base, ".wh.")
	for _, pattern := range volatile {
		if strings.HasSuffix(pattern, "/") && strings.HasPrefix(name, pattern) {
			return true
		}
		if matched, err := path.Match(pattern, name); err == nil && matched {
			return true
		}
	}
	return false
}

func fingerprint(h *tar.Header, content io.Reader, name string) (sum [sha256.Size]byte, err error) {
	if name == "etc/shadow" {
		data, err := io.ReadAll(io.LimitReader(content, 1<<20))
		if err != nil {
			return sum, err
		}
		content = io.MultiReader(bytes.NewReader(withoutDays(data)), content)
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%c %o %d %d %d %d %q %q\n", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Devmajor, h.Devminor, h.Linkname, xattrs(h))
	if _, err := io.Copy(hash, content); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}

// xattrs are a header's extended attributes, which fmt prints sorted.
func xattrs(h *tar.Header) map[string]string {
	out := map[string]string{}
	for key, value := range h.PAXRecords {
		if strings.HasPrefix(key, "SCHILY.xattr.") {
			out[key] = value
		}
	}
	return out
}

// withoutDays takes out of shadow(5) when passwords were changed, to the day.
func withoutDays(shadow []byte) []byte {
	lines := strings.Split(string(shadow), "\n")
	for i, line := range lines {
		if fields := strings.Split(line, ":"); len(fields) > 2 {
			fields[2] = ""
			lines[i] = strings.Join(fields, ":")
		}
	}
	return []byte(strings.Join(lines, "\n"))
}
