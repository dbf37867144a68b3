// Package packages says which packages a root file system holds, and which of
// them changed between two.
//
// Read reads the databases that package managers leave behind: those of dpkg,
// apk, pacman, xbps and rpm. Nothing is mounted, unpacked or executed, and no
// package manager is needed: the files come through a Root, which is two
// methods that a union of layers can give as well as a folder. Compare orders
// versions as each manager does.
//
//	before, err := packages.Read(old)
//	after, err := packages.Read(new)
//	changes := packages.Compare(before, after)
//	fmt.Println(packages.Summarize(changes)) // 2 upgraded (linux 6.1 → 6.2, openssl), 1 added (jq 1.6)
//
// Owners says which files packages own.
//
// A database is a stranger's input: how much is read is bounded, a damaged one
// gives an error and never a panic, and what a name or version may hold is
// printable.
//
// What it does not do: say whether a package is intact, or what was installed
// past the package manager.
package packages

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"
)

// A Root is how the files of a root file system are read. Paths have no
// leading slash; links are followed inside the root.
type Root interface {
	// ReadFile returns a whole file, and an error if it is larger than limit.
	// What is not there gives an error that is fs.ErrNotExist.
	ReadFile(path string, limit int64) ([]byte, error)
	// ReadDir returns the names in a folder; a missing one is empty.
	ReadDir(path string) ([]string, error)
}

// A System is a package manager's kind of database.
type System string

// The systems whose databases are read.
const (
	Dpkg   System = "dpkg"
	Apk    System = "apk"
	Pacman System = "pacman"
	Xbps   System = "xbps"
	RPM    System = "rpm"
)

// A Package is one that is installed.
type Package struct {
	System              System
	Name, Version, Arch string
}

const (
	// maxText bounds a database that is text, maxRPM one of rpm, which holds
	// the lists of files too.
	maxText = 64 << 20
	maxRPM  = 256 << 20
	// maxEntries bounds how many files a database that is a folder has.
	maxEntries = 50_000
	// maxWord bounds a name or version.
	maxWord = 200
)

// Read returns the packages of all databases in root, sorted; none if there is
// no database. An error leaves out the database that it is about.
func Read(root Root) ([]Package, error) {
	var all []Package
	var errs []error
	for _, read := range []func(Root) ([]Package, error){readDpkg, readApk, readPacman, readXbps, readRPM} {
		found, err := read(root)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, p := range found {
			p.Name, p.Version, p.Arch = printable(p.Name), printable(p.Version), printable(p.Arch)
			if p.Name != "" && p.Version != "" {
				all = append(all, p)
			}
		}
	}
	slices.SortFunc(all, compare)
	return slices.Compact(all), errors.Join(errs...)
}

func compare(a, b Package) int {
	return cmp.Or(cmp.Compare(a.System, b.System), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Version, b.Version))
}

// printable makes what a database says fit for a terminal and a line.
func printable(s string) string {
	if len(s) > maxWord {
		s = s[:maxWord]
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// firstFile reads the first of some files that is there, nil if none is.
func firstFile(root Root, limit int64, paths ...string) (data []byte, path string, err error) {
	for _, path := range paths {
		data, err := root.ReadFile(path, limit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, path, fmt.Errorf("read package database /%s: %w", path, err)
		}
		return data, path, nil
	}
	return nil, "", nil
}

// list returns the names in a folder of a database.
func list(root Root, dir string) ([]string, error) {
	names, err := root.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read package database /%s: %w", dir, err)
	}
	if len(names) > maxEntries {
		return nil, fmt.Errorf("read package database /%s: %d files are more than the %d that belong there", dir, len(names), maxEntries)
	}
	return names, nil
}
