package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/progress"
)

// DefaultTimeout is how long a build may take that says nothing else.
const DefaultTimeout = 2 * time.Hour

// Options are of one build.
type Options struct {
	// Base is the id of the base in the engine's store, "" for scratch.
	Base    string
	NoCache bool
	// Epoch is the time that all files bear.
	Epoch   time.Time
	Timeout time.Duration // 0 = DefaultTimeout
	// TempDir takes the context while the build runs.
	TempDir string
	// CredentialsFile and Insecure are as in Job.
	CredentialsFile string
	Insecure        bool
	Log             io.Writer
	Progress        *progress.BuildTask // nil to tell nobody
}

// TimeoutError says that a build took too long and was ended.
type TimeoutError struct{ Limit time.Duration }

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("it did not end within %s and was killed; raise the build's timeout if it needs longer", e.Limit)
}

// Run builds a prepared recipe.
func Run(ctx context.Context, e Engine, p *recipe.Prepared, opts Options) (img Image, err error) {
	dir, err := os.MkdirTemp(opts.TempDir, "build-")
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	job := Job{
		Containerfile: filepath.Join(dir, "Containerfile"), Context: filepath.Join(dir, "context"),
		Base: opts.Base, Args: p.Args, Secrets: p.Secrets, Platform: p.Platform, NoCache: opts.NoCache, Epoch: opts.Epoch,
		Log: opts.Log, Progress: opts.Progress,
	}
	if len(p.References) > 0 {
		job.CredentialsFile, job.Insecure = opts.CredentialsFile, opts.Insecure
	}
	if err := os.Mkdir(job.Context, 0o755); err != nil {
		return Image{}, err
	}
	if err := writeContext(p, job.Context); err != nil {
		return Image{}, err
	}
	if err := os.WriteFile(job.Containerfile, p.Containerfile, 0o600); err != nil {
		return Image{}, err
	}
	if err := checkSecrets(p.Secrets); err != nil {
		return Image{}, err
	}
	limit := cmp.Or(opts.Timeout, DefaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &TimeoutError{limit})
	defer cancel()
	img, err = e.Build(ctx, job)
	return img, foreign(err, p.Platform)
}

// checkSecrets says before a long build what one of its last steps would lack.
func checkSecrets(secrets map[string]string) error {
	var errs []error
	for id, path := range secrets {
		f, err := os.Open(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("secret %s: %w", id, err))
			continue
		}
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
