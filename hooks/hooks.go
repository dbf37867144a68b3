package hooks

import (
	"io/fs"
	"log/slog"
	"time"
)

// DefaultTimeout limits a script that declares no timeout.
const DefaultTimeout = 5 * time.Minute

// An Input is what one image of one machine wants above its layers.
type Input struct {
	Machine, Image, Tag string
	// Hooks in the order in which they are rendered.
	Hooks []Hook

	// StateDir keeps what is generated once (host keys, the machine id). It
	// is created with mode 0700 when it is needed.
	StateDir string
	// TempDir takes temporary files, secrets among them, which are gone when
	// Render returns or Output is closed; "" is the system's. Scripts are
	// executed there, so it must not be mounted noexec.
	TempDir string

	// Parents reports what the image has at a clean absolute path, without
	// following a link in its last element; fs.ErrNotExist if it has
	// nothing there. nil means that the image is not known.
	Parents func(path string) (Parent, error)
	// Base identifies what Parents reads, as the image's digest does. It is
	// part of the key.
	Base string

	// Log takes the scripts' output and decisions; nil discards them.
	Log *slog.Logger
}

// A Parent is what the image has at a path.
type Parent struct {
	// Mode has the type bits set, as fs.FileInfo.Mode has.
	Mode     fs.FileMode
	UID, GID int
	// Link is the target of a symbolic link.
	Link string
}

// A Hook is one named set of machine-specific files.
type Hook struct {
	Name        string
	Files       []File
	Run, AtBoot []Script
	// Builtin is nil, or has exactly one field set.
	Builtin *Builtin
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
}

// A Script is executed when the layer is rendered or when the machine boots.
type Script struct {
	// Name is for messages and for the file's name at boot.
	Name    string
	Content []byte
	// Timeout and Env are for run scripts.
	Timeout time.Duration
	Env     map[string]string
}

// A Builtin is a hook that gitboot brings along.
type Builtin struct {
	Fstab          *Fstab
	Hostname       *Hostname
	MachineID      *MachineID
	SSHHostKeys    *SSHHostKeys
	AuthorizedKeys *AuthorizedKeys
	ResolvConf     *ResolvConf
}

// Fstab writes /etc/fstab.
type Fstab struct{ Mounts []Mount }

// A Mount is one line of /etc/fstab, see fstab(5).
type Mount struct {
	Device, Path, Type, Options string
	Dump, Pass                  int
}

// Hostname writes /etc/hostname and /etc/hosts.
type Hostname struct {
	// Name is the machine's name if it is empty.
	Name string
	// Domain, if given, makes the full name Name.Domain.
	Domain string
}

// MachineID writes /etc/machine-id.
type MachineID struct {
	// Value is 32 lower-case hex digits; empty means generated once.
	Value string
}

// SSHHostKeys writes the keys of the machine's SSH server.
type SSHHostKeys struct {
	// Types are ed25519, rsa and ecdsa; none means ed25519 and rsa.
	Types []string
}

// AuthorizedKeys writes ~/.ssh/authorized_keys of users.
type AuthorizedKeys struct{ Users []UserKeys }

// UserKeys are the public keys that may log in as one user.
type UserKeys struct {
	User string
	// Home is /root for root and else /home/<user> if it is empty.
	Home     string
	UID, GID int
	Keys     []string
}

// ResolvConf writes /etc/resolv.conf, either a file or a link.
type ResolvConf struct {
	Nameservers, Search, Options []string
	Link                         string
}

func (in *Input) log() *slog.Logger {
	if in.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return in.Log
}
