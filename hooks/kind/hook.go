// Package kind declares what a hook is and which hooks are built in: the
// values that a config repo gives, and whether they make sense. spec fills
// and checks them, hooks renders them.
//
// A built-in is a struct with a pointer in Builtin. Its tags are those that
// spec's declarations have (see spec/declare.go), and two more:
//
//	is:"template"  the value is a template, which spec renders for each machine
//	lines:"Field"  the values name files in the repo, whose lines spec adds to
//	               that field
//
// Values are completed once templates are rendered, and checked after that.
// Both are pure, so that what is refused when a hook is rendered was refused
// before, where it was written.
//
// The JSON form of a Hook decides whether it is rendered again: fields are
// never renamed or moved, and new ones are left out when they are empty.
package kind

import (
	"io/fs"
	"maps"
	"slices"
	"time"
)

// A Hook is one named set of machine-specific files.
type Hook struct {
	Name string
	// Removes are clean absolute paths that the image has and the machine
	// shall not have. They go first, so that what they remove can be replaced.
	Removes     []string `json:",omitempty"`
	Dirs        []Dir    `json:",omitempty"`
	Files       []File
	Run, AtBoot []Script
	// Builtin is nil, or has exactly one field set.
	Builtin *Builtin
}

// A Dir is a folder to be there.
type Dir struct {
	Path string
	// Mode is in Go's form. If it is 0, mode and owner are those of the image,
	// or what is usual there.
	Mode fs.FileMode
	Owner
}

// A File is put into the layer as it is.
type File struct {
	// Path is clean and absolute.
	Path string
	// Mode is in Go's form or in octal; 0 is 0644.
	Mode     fs.FileMode
	UID, GID int
	Content  []byte
	// Link makes a symbolic link with this target instead.
	Link string
	// Inserts are secrets that Content lacks, in their order.
	Inserts []Insert `json:",omitempty"`
}

// A Script is executed when the layer is rendered or when the machine boots.
type Script struct {
	// Name is for messages and for the file's name at boot.
	Name    string
	Content []byte // begins with #! or is a program
	// Timeout and Env are for run scripts.
	Timeout time.Duration
	Env     map[string]string
	// Network lets a run script reach the network.
	Network bool `json:",omitempty"`
	// Secrets are files that a run script may read.
	Secrets []Secret `json:",omitempty"`
}

// A Secret is a file of the config repo that is encrypted to machines' keys. It
// is opened when a hook is rendered, and not before. What decides whether that is
// done again is the encrypted file, which everybody may know.
type Secret struct {
	Name   string
	Sealed []byte
	// Key is the machine's public key by the config repo, for messages.
	Key string `json:"-"`
}

// An Insert is a secret in the content of a file.
type Insert struct {
	Secret
	// At is where in the content it goes.
	At int
	// Whole keeps the end of its last line, which is left out within other text.
	Whole bool `json:",omitempty"`
}

// An Owner is declared as "uid:gid".
type Owner struct{ UID, GID int }

// A Machine is whose hooks they are.
type Machine struct {
	Name string
	// ID is its declared machine-id(5), or "".
	ID string
}

// SecretsFile is in each layer that holds secrets, and names them.
const SecretsFile = "/usr/lib/gitboot/secrets"

// AtBootDir is where at-boot scripts lie in the image.
const AtBootDir = "/usr/lib/gitboot/at-boot"

// Paths returns the files and links that the hook makes whatever the image
// has, without those of its scripts.
func (h *Hook) Paths() []string {
	paths := h.BuiltinPaths()
	for _, f := range h.Files {
		if !slices.Contains(paths, f.Path) {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// BuiltinPaths are those of its built-in alone.
func (h *Hook) BuiltinPaths() []string {
	if h.Builtin == nil {
		return nil
	}
	_, settings, err := h.Builtin.One()
	if err != nil {
		return nil
	}
	return settings.Paths(h.Name)
}

// Secrets returns the names of the secrets that the hook needs, sorted.
func (h *Hook) Secrets() []string {
	names := map[string]bool{}
	for _, f := range h.Files {
		for _, i := range f.Inserts {
			names[i.Name] = true
		}
	}
	for _, script := range h.Run {
		for _, s := range script.Secrets {
			names[s.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
