package packages

import (
	"fmt"
	"strings"
)

// readDpkg reads /var/lib/dpkg/status, and what distroless images have in its
// place: a file per package in status.d. The format is deb822's (Debian Policy,
// chapter 5).
func readDpkg(root Root) ([]Package, error) {
	const dir = "var/lib/dpkg"
	data, _, err := firstFile(root, maxText, dir+"/status")
	if err != nil {
		return nil, err
	}
	found := parseDpkg(string(data))
	names, err := list(root, dir+"/status.d")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".md5sums") {
			continue
		}
		data, _, err := firstFile(root, maxText/64, dir+"/status.d/"+name)
		if err != nil {
			return nil, err
		}
		found = append(found, parseDpkg(string(data))...)
	}
	return found, nil
}

func parseDpkg(text string) (found []Package) {
	p, installed := Package{System: Dpkg}, true
	end := func() {
		if p.Name != "" && p.Version != "" && installed {
			found = append(found, p)
		}
		p, installed = Package{System: Dpkg}, true
	}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			end()
			continue
		}
		field, value, ok := strings.Cut(line, ":")
		if !ok || line[0] == ' ' || line[0] == '\t' {
			continue // the value goes on
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(field) {
		case "package":
			p.Name = value
		case "version":
			p.Version = value
		case "architecture":
			p.Arch = value
		case "status": // want, flag, state
			installed = !strings.HasSuffix(value, " not-installed") && !strings.HasSuffix(value, " config-files")
		}
	}
	end()
	return found
}

// readApk reads apk's list of what is installed: lines of a letter, a colon and
// a value, a blank line between packages (apk-tools, apk-v2(5)).
func readApk(root Root) ([]Package, error) {
	data, _, err := firstFile(root, maxText, apkFiles()...)
	return parseApk(string(data)), err
}

// apkFiles has the folder first that /lib may be a link to.
func apkFiles() []string { return []string{"usr/lib/apk/db/installed", "lib/apk/db/installed"} }

func parseApk(text string) (found []Package) {
	p := Package{System: Apk}
	end := func() {
		if p.Name != "" && p.Version != "" {
			found = append(found, p)
		}
		p = Package{System: Apk}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			end()
			continue
		}
		switch {
		case strings.HasPrefix(line, "P:"):
			p.Name = line[2:]
		case strings.HasPrefix(line, "V:"):
			p.Version = line[2:]
		case strings.HasPrefix(line, "A:"):
			p.Arch = line[2:]
		}
	}
	end()
	return found
}

// readPacman lists pacman's folders, one per package: their names are
// name-version-release (libalpm, lib/libalpm/be_local.c), and reading the files
// in them would take a hundred times as long.
func readPacman(root Root) (found []Package, err error) {
	for _, dir := range pacmanDirs() {
		names, err := list(root, dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if p, ok := parsePacman(name); ok {
				found = append(found, p)
			}
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, nil
}

func pacmanDirs() []string {
	return []string{"var/lib/pacman/local", "usr/lib/sysimage/pacman/local", "usr/lib/sysimage/lib/pacman/local"}
}

func parsePacman(folder string) (Package, bool) {
	release := strings.LastIndexByte(folder, '-')
	version := strings.LastIndexByte(folder[:max(release, 0)], '-')
	if version <= 0 {
		return Package{}, false
	}
	return Package{System: Pacman, Name: folder[:version], Version: folder[version+1:]}, true
}

const (
	xbpsDir   = "var/db/xbps"
	xbpsFiles = "-files.plist" // ends the names of lists of files
)

func readXbps(root Root) (found []Package, err error) {
	all, err := listXbps(root)
	for _, o := range all {
		found = append(found, o.Package)
	}
	return found, err
}

// listXbps reads the property list that xbps keeps: a dictionary of
// dictionaries, by package.
func listXbps(root Root) (found []Owner, err error) {
	names, err := list(root, xbpsDir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "pkgdb-") || !strings.HasSuffix(name, ".plist") {
			continue
		}
		data, path, err := firstFile(root, maxText, xbpsDir+"/"+name)
		if err != nil {
			return nil, err
		}
		if found, err = parseXbps(string(data)); err != nil {
			return nil, fmt.Errorf("read package database /%s: %w", path, err)
		}
	}
	return found, nil
}
