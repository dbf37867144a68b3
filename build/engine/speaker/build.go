package speaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tonistiigi/fsutil"

	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

const (
	// baseName is what the base is to the builder. No stage can be called so.
	baseName = "gitboot/base"
	// baseStore is what the builder calls our store, to read the base.
	baseStore = "gitboot-base"
)

// Build has an image built and returns its id in the store. What the steps
// print goes to log.
func Build(ctx context.Context, r protocol.Request, log io.Writer) (id string, err error) {
	opt, err := solveOpt(r)
	if err != nil {
		return "", err
	}
	if r.Docker != nil {
		dockerOpt(r, &opt)
		c, err := inDocker(ctx, r.Builder)
		if err != nil {
			return "", err
		}
		_, err = solve(ctx, c, opt, r.Steps, log)
		return "", err
	}
	s, err := open(r.Store, r.Base)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.discard(context.WithoutCancel(ctx))) }()
	storeOpt(r, s, &opt)
	c, err := connect(ctx, r.Builder)
	if err != nil {
		return "", err
	}
	return solve(ctx, c, opt, r.Steps, log)
}

// solve executes the steps and closes the connection.
func solve(ctx context.Context, c *client.Client, opt client.SolveOpt, steps int, log io.Writer) (id string, err error) {
	defer func() { err = errors.Join(err, c.Close()) }()
	text := &statusLog{out: log, steps: steps}
	statuses, done := make(chan *client.SolveStatus), make(chan struct{})
	go func() {
		defer close(done)
		for s := range statuses {
			text.show(s)
		}
	}()
	res, err := c.Solve(ctx, nil, opt, statuses)
	<-done
	if err != nil {
		return "", tidy(err)
	}
	return res.ExporterResponse[exptypes.ExporterImageDigestKey], nil
}

// storeOpt lets the builder read the base in our store and write to it.
func storeOpt(r protocol.Request, s *store, opt *client.SolveOpt) {
	opt.Exports = []client.ExportEntry{{Type: client.ExporterOCI, OutputStore: s, Attrs: map[string]string{
		"tar": "false", "oci-mediatypes": "true", "compression": "uncompressed", "force-compression": "true", "rewrite-timestamp": "true",
	}}}
	if r.Base != "" {
		opt.FrontendAttrs["build-arg:"+r.BaseArg] = baseName
		opt.FrontendAttrs["context:"+baseName] = "oci-layout://" + baseStore + "@" + r.Base
		opt.OCIStores = map[string]content.Store{baseStore: s}
	}
}

// solveOpt says in the builder's words what of the request is the same for all.
func solveOpt(r protocol.Request) (opt client.SolveOpt, err error) {
	attrs := map[string]string{
		"filename":                    filepath.Base(r.Containerfile),
		"build-arg:SOURCE_DATE_EPOCH": strconv.FormatInt(r.Epoch, 10),
	}
	for name, value := range r.Args {
		attrs["build-arg:"+name] = value
	}
	if r.NoCache {
		attrs["no-cache"] = ""
	}
	if r.Platform != "" {
		attrs["platform"] = r.Platform
	}
	opt = client.SolveOpt{Frontend: "dockerfile.v0", FrontendAttrs: attrs} // the builder's own: none is fetched
	if err := ignoreFile(r.Context, r.Containerfile); err != nil {
		return opt, err
	}
	if opt.LocalMounts, err = folders(map[string]string{"context": r.Context, "dockerfile": filepath.Dir(r.Containerfile)}); err != nil {
		return opt, err
	}
	secrets, err := provideSecrets(r.Secrets)
	if err != nil {
		return opt, err
	}
	credentials, err := provideCredentials(r.CredentialsFile)
	opt.Session = append(secrets, credentials...)
	return opt, err
}

func folders(paths map[string]string) (map[string]fsutil.FS, error) {
	out := map[string]fsutil.FS{}
	for name, path := range paths {
		var err error
		if out[name], err = fsutil.NewFS(path); err != nil {
			return nil, fmt.Errorf("open the folder for the builder: %w", err)
		}
	}
	return out, nil
}

// ignoreFile lays the context's .containerignore, of which BuildKit does not
// know, where BuildKit looks first.
func ignoreFile(dir, containerfile string) error {
	data, err := os.ReadFile(filepath.Join(dir, ".containerignore"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.WriteFile(containerfile+".dockerignore", data, 0o600)
	}
	return err
}

// provideSecrets lets steps have the secrets' files, each when it asks.
func provideSecrets(secrets map[string]string) ([]session.Attachable, error) {
	var sources []secretsprovider.Source
	for _, id := range slices.Sorted(maps.Keys(secrets)) {
		sources = append(sources, secretsprovider.Source{ID: id, FilePath: secrets[id]})
	}
	s, err := secretsprovider.NewStore(sources)
	if err != nil {
		return nil, err
	}
	return []session.Attachable{secretsprovider.NewSecretProvider(s)}, nil
}
