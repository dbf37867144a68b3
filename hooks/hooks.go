package hooks

import (
	"log/slog"
	"slices"
	"time"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
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

	// Root is the image's root file system; nil means that it is not known.
	Root View
	// Base identifies what Root reads, as the image's digest does. It is part
	// of the key.
	Base string

	// Open opens a secret. What it returns is overwritten when it is rendered.
	Open func(kind.Secret) ([]byte, error)
	// Log takes the scripts' output and decisions; nil discards them.
	Log *slog.Logger
}

// A View reads an image's root file system, an Output is a rendered layer.
type (
	View   = layer.View
	Output = layer.Output
)

func (in *Input) log() *slog.Logger {
	if in.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return in.Log
}

// secrets returns the names of the secrets that the hooks need, sorted.
func (in *Input) secrets() (names []string) {
	for i := range in.Hooks {
		names = append(names, in.Hooks[i].Secrets()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
