package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/gitboot/gitboot/build/engine/process"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/program"
)

// ImportBootstrap runs the recipe's bootstrap command, which writes a root file
// system tar to its standard output, and brings that into an engine's store.
func ImportBootstrap(ctx context.Context, e Engine, p *recipe.Prepared, opts Options) (Image, error) {
	limit := cmp.Or(opts.Timeout, DefaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &TimeoutError{limit})
	defer cancel()
	open := func(ctx context.Context) (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(bootstrap(ctx, p, w, opts)) }()
		return r, nil
	}
	img, err := importLayers(ctx, e, []tarLayer{{open: open}}, nil, p.Platform, opts.TempDir)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Image{}, fmt.Errorf("bootstrap %q: %w", p.Bootstrap, err)
	}
	return img, nil
}

func bootstrap(ctx context.Context, p *recipe.Prepared, w io.Writer, opts Options) (err error) {
	temp, err := os.MkdirTemp(opts.TempDir, "bootstrap-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if temp, err = filepath.Abs(temp); err != nil {
		return err
	}
	dir := filepath.Join(temp, "repo")
	if err := errors.Join(os.Mkdir(dir, 0o755), writeFiles(p, dir, p.Beside)); err != nil {
		return err
	}
	c := process.Command{Args: p.Bootstrap, Dir: dir, Out: w, Log: io.MultiWriter(opts.Log, plain.Lines(opts.Progress.Line))}
	if name, ok := p.Script(); ok {
		c.Args = append([]string{"./" + path.Base(name)}, p.Bootstrap[1:]...)
	}
	c.Env = append(program.Proxies(), "PATH="+program.Path, "HOME=/root", "LANG=C.UTF-8", "TMPDIR="+temp,
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", opts.Epoch.Unix()))
	return c.Run(ctx)
}
