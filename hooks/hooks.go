package hooks

import (
	"io/fs"
	"log/slog"
	"time"

	"github.com/gitboot/gitboot/hooks/kind"
)

// DefaultTimeout limits a script that declares no timeout.
const DefaultTimeout = 5 * time.Minute

// An Input is what one image of one machine wants above its layers.
type Input struct {
	Machine, Image, Tag string
	// Hooks in the order in which they are rendered.
	Hooks []kind.Hook

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

func (in *Input) log() *slog.Logger {
	if in.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return in.Log
}
