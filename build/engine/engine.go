package engine

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gitboot/gitboot/internal/progress"
)

// An Engine executes Containerfiles and keeps what comes of them. Its methods
// may be called side by side. Whatever ends with ctx has left no process,
// mount or container when the method returns, or leaves what the next Clean
// removes, or what a daemon removes by itself a moment later.
type Engine interface {
	// Name is what a config repo calls the engine.
	Name() string
	// Check returns a *MissingError if the engine is not installed here, or an
	// error that says what else keeps it from working.
	Check(ctx context.Context) error
	// Clean removes what cut builds have left. No build may be under way.
	Clean(ctx context.Context) error
	// Import stores the image in an OCI layout's folder.
	Import(ctx context.Context, layout string) (Image, error)
	// Build executes a job.
	Build(ctx context.Context, j Job) (Image, error)
	// Image returns a stored image; its error wraps ErrGone if it is not, or
	// no longer, there.
	Image(ctx context.Context, id string) (Image, error)
	// Collect removes what was used longest ago, until the engine holds no
	// more than limit bytes; never the images to be kept, nor what they are
	// made of. No build may be under way; images that somebody reads stay until
	// they have done (Reading). An engine that others use as well leaves this to
	// its own settings.
	Collect(ctx context.Context, keep []string, limit int64) (freed int64, err error)
}

// A Job is one Containerfile to be executed.
type Job struct {
	// Containerfile and Context are paths.
	Containerfile, Context string
	// Base is the id of the image that BaseArg names, "" for scratch.
	Base     string
	Args     map[string]string
	Secrets  map[string]string // id → path
	Platform string
	// CredentialsFile and Insecure are for images that steps name and the
	// engine pulls: a docker or podman auth.json ("" for the engine's own), and
	// whether plain HTTP and unverified certificates will do.
	CredentialsFile string
	Insecure        bool
	// NoCache executes every step anew.
	NoCache bool
	// Epoch is the time that files in layers and the image bear.
	Epoch time.Time
	// Log takes all that the steps print.
	Log io.Writer
	// Progress, if it is not nil, is told how far the build is.
	Progress *progress.BuildTask
}

// An Image is one in an engine's store.
type Image struct {
	// ID finds it again in the store of its engine, of which alone it has a
	// meaning.
	ID string
	// Content is the same for images that a child cannot tell apart: a hash
	// of the layers and of what of the configuration is inherited.
	Content string
	// Digest is the same for images of the same layers.
	Digest string
	// Config is its OCI configuration, as the engine has made it.
	Config []byte
	Layers []Layer
}

// A Layer is one of an image, lowest first.
type Layer struct {
	DiffID string
	Size   int64 // of the tar
	// Open streams the tar. It is verified by nobody: whoever stores it
	// compares it with DiffID.
	Open func(context.Context) (io.ReadCloser, error)
}

// ErrGone says that an engine does not hold an image.
var ErrGone = fmt.Errorf("the engine's store does not hold it")

// A MissingError says that an engine, or what it needs, is not installed.
type MissingError struct{ Engine, Program, Package string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("engine %s: %s is not installed; install the package %s (apt-get install %s), or let another machine build and push the image",
		e.Engine, e.Program, e.Package, e.Package)
}
