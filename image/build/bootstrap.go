package build

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// script returns the repo's path of the program that a bootstrap command runs,
// if that is one of the repo's: its first word begins with "./".
func (r *Recipe) script() (string, bool) {
	if len(r.Bootstrap) == 0 {
		return "", false
	}
	name, ok := strings.CutPrefix(r.Bootstrap[0], "./")
	return path.Clean(name), ok
}

// loadScript gathers the folder that a bootstrap's script lies in: as a
// recipe's, it sees what is beside it. At the repo's root, it is alone.
func (p *Prepared) loadScript() error {
	name, ok := p.script()
	if !ok {
		return nil
	}
	info, err := fs.Stat(p.FS, name)
	if err != nil {
		return fmt.Errorf("read bootstrap: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("bootstrap %s: it is no executable file; run git update-index --chmod=+x %s", name, name)
	}
	files := newCollector(p.FS)
	from := path.Dir(name)
	if from == "." {
		from = name
	}
	if err := files.script(from, within(path.Dir(name), from)); err != nil {
		return fmt.Errorf("read bootstrap: %w", err)
	}
	p.beside = files.sorted()
	p.parts = append(p.parts, files.parts()...)
	return nil
}

// BootstrapHash tells bases that commands make apart: by the command, what is
// beside its script, and the platform.
func (p *Prepared) BootstrapHash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", p.Bootstrap, p.Platform)
	for _, f := range p.beside {
		fmt.Fprintf(h, "\n%q %v %s", f.name, f.mode, f.sum)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ImportBootstrap runs the recipe's bootstrap command, which writes a root file
// system tar to its standard output, and brings that into an engine's store.
func ImportBootstrap(ctx context.Context, e Engine, p *Prepared, opts Options) (Image, error) {
	limit := cmp.Or(opts.Timeout, DefaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &TimeoutError{limit})
	defer cancel()
	open := func(ctx context.Context) (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(p.bootstrap(ctx, w, opts)) }()
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

func (p *Prepared) bootstrap(ctx context.Context, w io.Writer, opts Options) (err error) {
	temp, err := os.MkdirTemp(opts.TempDir, "bootstrap-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	if temp, err = filepath.Abs(temp); err != nil {
		return err
	}
	dir := filepath.Join(temp, "repo")
	if err := errors.Join(os.Mkdir(dir, 0o755), p.writeFiles(dir, p.beside)); err != nil {
		return err
	}
	c := command{args: p.Bootstrap, dir: dir, out: w, log: io.MultiWriter(opts.Log, &lineWriter{each: opts.Progress.Line})}
	if name, ok := p.script(); ok {
		c.args = append([]string{"./" + path.Base(name)}, p.Bootstrap[1:]...)
	}
	c.env = append(proxies(), "PATH="+searchPath, "HOME=/root", "LANG=C.UTF-8", "TMPDIR="+temp,
		fmt.Sprintf("SOURCE_DATE_EPOCH=%d", opts.Epoch.Unix()))
	return c.run(ctx)
}

// proxies returns the variables that say how the network is reached.
func proxies() (env []string) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
