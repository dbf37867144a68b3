package packages

import (
	"errors"
	"path"
	"slices"
	"strings"
)

// An Owner is a package that has files.
type Owner struct {
	Package
	// Source is what it was built from, with others perhaps, which change when it
	// does; its own name where the database says nothing of that.
	Source string
}

// Owners calls do with each file that a package of some database says is its own, in no
// order. Paths have no leading slash; they may be folders, lead through symbolic links, or
// not be there. An error leaves out what the rest of its database says.
func Owners(root Root, do func(owner Owner, path string)) error {
	var errs []error
	for _, read := range []func(Root, func(Owner, string)) error{ownersDpkg, ownersApk, ownersPacman, ownersXbps, ownersRPM} {
		errs = append(errs, read(root, func(o Owner, file string) {
			if o.Source == "" {
				o.Source = o.Name
			}
			o.Name, o.Version, o.Source = printable(o.Name), printable(o.Version), printable(o.Source)
			if file = strings.TrimPrefix(path.Clean("/"+file), "/"); file != "" {
				do(o, file)
			}
		}))
	}
	return errors.Join(errs...)
}

// IsDatabase reports whether Read or Owners would read a file.
func IsDatabase(name string) bool {
	switch {
	case strings.HasPrefix(name, dpkgInfo+"/"):
		return strings.HasSuffix(name, ".list")
	case name == dpkgDiversions:
		return true
	}
	return slices.ContainsFunc(databases(), func(db string) bool { return name == db || strings.HasPrefix(name, db+"/") }) &&
		path.Base(name) != "mtree"
}

const (
	dpkgInfo       = "var/lib/dpkg/info"
	dpkgDiversions = "var/lib/dpkg/diversions"
)

// ownersDpkg reads the lists that dpkg keeps of each package's files, info/NAME.list or
// NAME:ARCH.list, a path on each line (dpkg's doc/spec/, and pkg-list.c).
func ownersDpkg(root Root, do func(Owner, string)) error {
	data, _, err := firstFile(root, maxText, "var/lib/dpkg/status")
	if err != nil || data == nil {
		return err
	}
	sources := dpkgSources(string(data))
	known := map[string]Package{}
	for _, p := range parseDpkg(string(data)) {
		known[p.Name], known[p.Name+":"+p.Arch] = p, p
	}
	names, err := list(root, dpkgInfo)
	if err != nil {
		return err
	}
	diverted, _, err := firstFile(root, maxText, dpkgDiversions)
	if err != nil {
		return err
	}
	diversions := dpkgDiverted(string(diverted))
	for _, file := range names {
		name, ok := strings.CutSuffix(file, ".list")
		p, installed := known[name]
		if !ok || !installed {
			continue
		}
		data, _, err := firstFile(root, maxText/4, dpkgInfo+"/"+file)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(data)) {
			file := strings.TrimSuffix(line, "\n")
			if d, ok := diversions[file]; ok && d.by != p.Name {
				file = d.to
			}
			do(Owner{p, sources[p.Name]}, file)
		}
	}
	return nil
}

// A diversion is where dpkg puts all packages' files of a name but those of one package.
type diversion struct{ to, by string }

// dpkgDiverted reads diversions: for each three lines, from where and to where, and by which
// package, ":" if the administrator has asked for it (dpkg's lib/dpkg/db-fsys-divert.c).
func dpkgDiverted(text string) map[string]diversion {
	out, lines := map[string]diversion{}, strings.Split(text, "\n")
	for ; len(lines) >= 3; lines = lines[3:] {
		out[lines[0]] = diversion{lines[1], lines[2]}
	}
	return out
}

// dpkgSources are the names of source packages by those of packages, where they differ.
func dpkgSources(status string) map[string]string {
	out := map[string]string{}
	name := ""
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "Package: "); ok {
			name = strings.TrimSpace(value)
		}
		if value, ok := strings.CutPrefix(line, "Source: "); ok && name != "" {
			source, _, _ := strings.Cut(strings.TrimSpace(value), " ") // a version of its own may follow
			out[name] = source
		}
	}
	return out
}

// ownersApk reads the lines F: (a folder) and R: (a file in it) of apk's list.
func ownersApk(root Root, do func(Owner, string)) error {
	data, _, err := firstFile(root, maxText, apkFiles()...)
	if err != nil {
		return err
	}
	o, dir := Owner{Package: Package{System: Apk}}, ""
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch {
		case !ok:
			o, dir = Owner{Package: Package{System: Apk}}, ""
		case key == "P":
			o.Name = value
		case key == "V":
			o.Version = value
		case key == "A":
			o.Arch = value
		case key == "o":
			o.Source = value
		case key == "F":
			dir = value
		case key == "R" && o.Name != "":
			do(o, dir+"/"+value)
		}
	}
	return nil
}

// ownersPacman reads the files "desc" and "files" in each package's folder: values stand
// on the lines below their %NAME%, up to an empty one (libalpm, lib/libalpm/be_local.c).
func ownersPacman(root Root, do func(Owner, string)) error {
	for _, dir := range pacmanDirs() {
		names, err := list(root, dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			p, ok := parsePacman(name)
			if !ok {
				continue
			}
			o := Owner{Package: p}
			desc, _, err := firstFile(root, maxText/4, dir+"/"+name+"/desc")
			files, _, err2 := firstFile(root, maxText/4, dir+"/"+name+"/files")
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			eachValue(string(desc), "%BASE%", func(value string) { o.Source = value })
			eachValue(string(files), "%FILES%", func(value string) { do(o, value) })
		}
	}
	return nil
}

func eachValue(text, key string, do func(string)) {
	at := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" || at == "":
			at = line
		case at == key:
			do(line)
		}
	}
}
