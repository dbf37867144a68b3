package initramfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/rootfs"
)

// A Kernel is a kernel image of the tree.
type Kernel struct {
	// Version is the release, the name of the folder of its modules.
	Version string
	// Path is absolute in the tree, all links resolved.
	Path string
}

// NoKernelError says that an image has no kernel, or none that was asked for.
type NoKernelError struct {
	Pick  string   // what was asked for, "" for any
	Found []Kernel // what there is
}

const kernelPlaces = "/boot/vmlinuz*, /boot/kernel-*, /vmlinuz and /usr/lib/modules/*/vmlinuz"

func (e *NoKernelError) Error() string {
	if len(e.Found) == 0 {
		return "finding the image's kernel: there is none in " + kernelPlaces +
			"; install a kernel in the image (Debian: linux-image-amd64, Fedora: kernel-core, Arch: linux)"
	}
	var have []string
	for _, k := range e.Found {
		have = append(have, k.Version+" ("+k.Path+")")
	}
	return fmt.Sprintf("finding the image's kernel: none has a version or path that matches %q; the image has %s",
		e.Pick, strings.Join(have, ", "))
}

// moduleDirs are where a kernel's modules are, first to last.
var moduleDirs = [...]string{"lib/modules", "usr/lib/modules"}

// FindKernel returns the kernel with the highest version whose version, path
// or file name matches pick, a glob as in path.Match; "" matches all.
func FindKernel(t *rootfs.Tree, pick string) (Kernel, error) {
	all, err := Kernels(t)
	if err != nil {
		return Kernel{}, err
	}
	for _, k := range all {
		ok, err := k.matches(pick)
		if err != nil {
			return Kernel{}, fmt.Errorf("finding the image's kernel: pattern %q: %w", pick, err)
		}
		if ok {
			return k, nil
		}
	}
	return Kernel{}, &NoKernelError{Pick: pick, Found: all}
}

func (k Kernel) matches(pick string) (bool, error) {
	if pick == "" {
		return true, nil
	}
	for _, s := range []string{k.Version, k.Path, path.Base(k.Path)} {
		if ok, err := path.Match(pick, s); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// Kernels returns all kernels of the tree, highest version first.
func Kernels(t *rootfs.Tree) ([]Kernel, error) {
	names, err := kernelNames(t)
	if err != nil {
		return nil, err
	}
	var found []Kernel
	seen := make(map[string]bool)
	for _, name := range names {
		n, err := t.Lookup(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a link that leads nowhere
		}
		if err != nil {
			return nil, err
		}
		if seen[n.Path] || !n.Mode().IsRegular() {
			continue
		}
		seen[n.Path] = true
		version, err := kernelVersion(t, n)
		if err != nil {
			return nil, err
		}
		if version != "" {
			found = append(found, Kernel{Version: version, Path: "/" + n.Path})
		}
	}
	slices.SortStableFunc(found, func(a, b Kernel) int {
		return cmp.Or(-compareVersions(a.Version, b.Version), cmp.Compare(a.Path, b.Path))
	})
	return found, nil
}

// kernelNames lists paths that may be kernels.
func kernelNames(t *rootfs.Tree) ([]string, error) {
	var names []string
	boot, err := t.ReadDir("boot")
	if err != nil {
		return nil, err
	}
	for _, name := range boot {
		if isKernelName(name) {
			names = append(names, "boot/"+name)
		}
	}
	for _, dir := range moduleDirs {
		versions, err := t.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, v := range versions {
			names = append(names, path.Join(dir, v, "vmlinuz"))
		}
	}
	return append(names, "vmlinuz"), nil
}

func isKernelName(name string) bool {
	if strings.Contains(name, "rescue") || slices.Contains([]string{".old", ".sig", ".hmac"}, path.Ext(name)) {
		return false
	}
	return strings.HasPrefix(name, "vmlinuz") || strings.HasPrefix(name, "kernel-")
}

// kernelVersion is the file name's suffix, or the folder it lies in, if there
// are modules of that name; else what the file's own header says; else the
// suffix for what it is worth.
func kernelVersion(t *rootfs.Tree, n *rootfs.Node) (string, error) {
	dir, base := path.Split(n.Path)
	_, suffix, _ := strings.Cut(base, "-")
	if base == "vmlinuz" && strings.Contains(dir, "lib/modules/") {
		return path.Base(dir), nil
	}
	if suffix != "" {
		if m, err := moduleDir(t, suffix); m != nil || err != nil {
			return suffix, err
		}
	}
	r, err := t.Open(n)
	if err != nil {
		return "", err
	}
	head := make([]byte, 1<<17)
	size, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the header of kernel /%s: %w", n.Path, err)
	}
	return cmp.Or(headerVersion(head[:size]), suffix), nil
}

// headerVersion reads the version from an x86 boot header (the kernel's
// Documentation/arch/x86/boot.rst, kernel_version), "" if there is none.
func headerVersion(head []byte) string {
	const magicAt, versionAt = 0x202, 0x20e
	if len(head) < versionAt+2 || string(head[magicAt:magicAt+4]) != "HdrS" {
		return ""
	}
	at := int(binary.LittleEndian.Uint16(head[versionAt:])) + 0x200
	if at == 0x200 || at >= len(head) {
		return ""
	}
	text := head[at:]
	if end := bytes.IndexAny(text, " \x00"); end >= 0 {
		text = text[:end]
	}
	if len(text) > 128 || bytes.ContainsAny(text, "/\n") {
		return ""
	}
	return string(text)
}

// moduleDir returns the folder of a kernel's modules, nil if there is none.
func moduleDir(t *rootfs.Tree, version string) (*rootfs.Node, error) {
	for _, dir := range moduleDirs {
		n, err := t.Lookup(path.Join(dir, version))
		if err == nil && n.Mode().IsDir() {
			return n, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, nil
}
