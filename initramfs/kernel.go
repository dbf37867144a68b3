package initramfs

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
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

const kernelPlaces = "/boot/vmlinuz*, /boot/kernel-*, /boot/Image*, /boot/vmlinux-*, /vmlinuz and /usr/lib/modules/*/vmlinuz (or vmlinuz.efi)"

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
// or file name matches pick, a glob as in path.Match; "" matches all. One
// without modules, such as a package leaves in /boot when it is removed, is
// taken only where none of them has any.
func FindKernel(t *rootfs.Tree, pick string) (Kernel, error) {
	all, err := Kernels(t)
	if err != nil {
		return Kernel{}, err
	}
	var matching []Kernel
	for _, k := range all {
		ok, err := k.Matches(pick)
		if err != nil {
			return Kernel{}, fmt.Errorf("finding the image's kernel: pattern %q: %w", pick, err)
		}
		if ok {
			matching = append(matching, k)
		}
	}
	if len(matching) == 0 {
		return Kernel{}, &NoKernelError{Pick: pick, Found: all}
	}
	for _, k := range matching {
		if ok, err := hasModules(t, k.Version); ok || err != nil {
			return k, err
		}
	}
	return matching[0], nil
}

// Matches reports whether a kernel is one that was asked for; see FindKernel.
func (k Kernel) Matches(pick string) (bool, error) {
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
		return cmp.Or(-compareVersions(a.Version, b.Version), cmp.Compare(nameRank(a), nameRank(b)), cmp.Compare(a.Path, b.Path))
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
			names = append(names, path.Join(dir, v, "vmlinuz"), path.Join(dir, v, "vmlinuz.efi"))
		}
	}
	return append(names, "vmlinuz"), nil
}

func isKernelName(name string) bool {
	if strings.Contains(name, "rescue") || slices.Contains([]string{".old", ".sig", ".hmac"}, path.Ext(name)) {
		return false
	}
	return slices.ContainsFunc(kernelPrefixes[:], func(p string) bool { return strings.HasPrefix(name, p) })
}

// kernelPrefixes are how a kernel's file in /boot is named, the best first: an
// architecture that boots from vmlinux has nothing else, others have it for
// debuggers.
var kernelPrefixes = [...]string{"vmlinuz", "kernel-", "Image", "vmlinux-"}

func nameRank(k Kernel) int {
	return slices.IndexFunc(kernelPrefixes[:], func(p string) bool { return strings.HasPrefix(path.Base(k.Path), p) })
}

// A NoInitError says that process 1 would find nothing to become.
type NoInitError struct{ Paths []string }

func (e *NoInitError) Error() string {
	text := "finding the image's init: there is no program at " + strings.Join(e.Paths, ", ")
	if len(e.Paths) == 1 {
		return text + ", which the kernel argument init= names; give another, or leave it out"
	}
	return text + "; install one in the image (Debian: systemd-sysv or sysvinit-core, Fedora: systemd, Arch: systemd-sysvcompat, Alpine: openrc)," +
		" or name a program of it with the kernel argument init="
}

// FindInit returns the program that process 1 becomes in a root file system: it looks
// where process 1 does, with the same kernel arguments.
func FindInit(t *rootfs.Tree, kernelArgs []string) (string, error) {
	words, err := deployment.Words("", kernelArgs)
	if err != nil {
		return "", err
	}
	paths := deployment.Inits(words)
	for _, name := range paths {
		n, err := t.Lookup(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", err
		case n.Mode().IsRegular() && n.Mode()&0o111 != 0:
			return name, nil
		}
	}
	return "", &NoInitError{paths}
}
