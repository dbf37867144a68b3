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

// kernelVersion is the file name's suffix, or the folder it lies in, if there
// are modules of that name; else what the file's own header says; else the
// folder of modules that can only be its own; else the suffix for what it is
// worth.
func kernelVersion(t *rootfs.Tree, n *rootfs.Node) (string, error) {
	dir, base := path.Split(n.Path)
	_, suffix, _ := strings.Cut(base, "-")
	if strings.HasPrefix(base, "vmlinuz") && strings.Contains(dir, "lib/modules/") {
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
	if version := headerVersion(head[:size]); version != "" || startsWithDigit(suffix) {
		return cmp.Or(version, suffix), nil
	}
	only, err := onlyModules(t, suffix)
	return cmp.Or(only, suffix), err
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// onlyModules returns the version of the one folder of modules that a kernel
// which is named by its flavour ("lts") can have, "" if there are several.
func onlyModules(t *rootfs.Tree, flavour string) (string, error) {
	var all, flavoured []string
	for _, dir := range moduleDirs {
		versions, err := t.ReadDir(dir)
		if err != nil {
			return "", err
		}
		for _, v := range versions {
			ok, err := hasModules(t, v)
			if err != nil {
				return "", err
			}
			if !ok || slices.Contains(all, v) {
				continue
			}
			all = append(all, v)
			if flavour != "" && strings.HasSuffix(v, "-"+flavour) {
				flavoured = append(flavoured, v)
			}
		}
	}
	for _, list := range [][]string{flavoured, all} {
		if len(list) == 1 {
			return list[0], nil
		}
	}
	return "", nil
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

// hasModules reports whether a kernel's modules are there, and not only a
// folder that something left behind.
func hasModules(t *rootfs.Tree, version string) (bool, error) {
	dir, err := moduleDir(t, version)
	if dir == nil || err != nil {
		return false, err
	}
	n, err := t.Child(dir, "modules.builtin")
	return n != nil, err
}

// compareVersions orders versions as Debian does (deb-version(7)): text and
// numbers in turn; in text a tilde sorts before the end, the end before
// letters, letters before all else.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var ta, tb, na, nb string
		ta, a = cut(a, false)
		tb, b = cut(b, false)
		if c := compareText(ta, tb); c != 0 {
			return c
		}
		na, a = cut(a, true)
		nb, b = cut(b, true)
		na, nb = strings.TrimLeft(na, "0"), strings.TrimLeft(nb, "0")
		if c := cmp.Or(cmp.Compare(len(na), len(nb)), cmp.Compare(na, nb)); c != 0 {
			return c
		}
	}
	return 0
}

// cut splits off the leading digits, or what is before them.
func cut(s string, digits bool) (head, rest string) {
	i := 0
	for i < len(s) && ('0' <= s[i] && s[i] <= '9') == digits {
		i++
	}
	return s[:i], s[i:]
}

func compareText(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func weight(s string, i int) int {
	if i >= len(s) {
		return 0
	}
	c := int(s[i])
	switch {
	case c == '~':
		return -1
	case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
		return c
	}
	return c + 256
}
