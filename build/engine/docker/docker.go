// Package docker has images built by the BuildKit that is in a docker daemon of
// this machine.
package docker

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/blobs"
	"github.com/gitboot/gitboot/build/engine/buildkit"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

// Socket is where a docker daemon listens, unless it is told otherwise.
const Socket = "/var/run/docker.sock"

// Options says where the docker daemon is, and where what it built is kept.
type Options struct {
	// Dir is the folder of all engines. Nothing else may use what is called
	// docker there.
	Dir     string
	Speaker buildkit.Speaker
	Socket  string // "" for Socket
}

// An Engine builds with a docker daemon. As that can only store an image in
// docker's own store, each is taken out of there, the times of its files put
// right, and kept here; docker keeps it, too, under a name of ours, to build on
// it.
type Engine struct {
	blobs.Store
	speaker buildkit.Speaker
	socket  string
	repo    string // begins our images' names in docker's store
}

// New opens the images that are kept. Neither they nor the daemon need be there
// before they are used.
func New(opts Options) (*Engine, error) {
	dir, err := filepath.Abs(filepath.Join(opts.Dir, "docker"))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(dir))
	return &Engine{
		Store: blobs.Store{Dir: dir}, speaker: opts.Speaker, socket: cmp.Or(opts.Socket, Socket),
		// Nobody can have this host, so that the name is looked up nowhere.
		repo: "gitboot.invalid/" + hex.EncodeToString(sum[:6]),
	}, nil
}

// Name implements Engine.
func (d *Engine) Name() string { return "docker" }

// A DaemonError says that a docker daemon cannot be used.
type DaemonError struct {
	Socket string
	Err    error
}

func (e *DaemonError) Error() string {
	return fmt.Sprintf("engine docker: use the docker daemon at %s: %v; install it (apt-get install docker.io) and start it, or set address in the section [docker] of agent.toml", e.Socket, e.Err)
}

func (e *DaemonError) Unwrap() error { return e.Err }

// daemonAnswers is how long a daemon may take to answer when nothing is built.
const daemonAnswers = 15 * time.Second

// Check implements Engine. If there is no daemon, its error is a *DaemonError.
func (d *Engine) Check(ctx context.Context) error {
	if err := d.speaker.Find("the daemon's builder"); err != nil {
		return fmt.Errorf("engine docker: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, daemonAnswers, fmt.Errorf("it did not answer within %s", daemonAnswers))
	defer cancel()
	if err := d.api().call(ctx, "GET", "/_ping", nil, nil); err != nil {
		return &DaemonError{d.socket, err}
	}
	return nil
}

// name is what docker calls an image of ours.
func (d *Engine) name(id string) string {
	return d.repo + ":" + strings.TrimPrefix(id, "sha256:")[:32]
}

// underWay begins the tags of what is being built.
const underWay = "building-"

// Build implements Engine.
func (d *Engine) Build(ctx context.Context, j engine.Job) (img engine.Image, err error) {
	if ctx.Err() != nil {
		return engine.Image{}, context.Cause(ctx)
	}
	if err := d.Make(); err != nil {
		return engine.Image{}, err
	}
	names := protocol.Docker{Name: d.repo + ":" + underWay + rand.Text()}
	if j.Base != "" {
		if names.Base, err = d.loaded(ctx, j.Base); err != nil {
			return engine.Image{}, fmt.Errorf("bring the base into docker's store: %w", err)
		}
	}
	defer func() { err = errors.Join(err, d.untag(context.WithoutCancel(ctx), names.Name)) }()
	request := protocol.Request{Builder: protocol.Builder{Address: "unix://" + d.socket}, Docker: &names}
	if _, err := d.speaker.Build(ctx, j, request); err != nil {
		return engine.Image{}, err
	}
	id, err := d.take(ctx, names.Name, j.Epoch)
	if err != nil {
		return engine.Image{}, engine.ExplainFull(d.Dir, fmt.Errorf("take the image out of docker's store: %w", err))
	}
	repo, tag, _ := strings.Cut(d.name(id), ":")
	if err := d.api().call(ctx, "POST", "/images/"+names.Name+"/tag?repo="+repo+"&tag="+tag, nil, nil); err != nil {
		return engine.Image{}, fmt.Errorf("name the image in docker's store: %w", err)
	}
	return d.Image(ctx, id)
}

// untag takes a name away in docker's store, and with it what nothing else
// there needs.
func (d *Engine) untag(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, daemonAnswers)
	defer cancel()
	err := d.api().call(ctx, "DELETE", "/images/"+name, nil, nil)
	if isAbsent(err) {
		return nil
	}
	return err
}

// tags lists our names in docker's store.
func (d *Engine) tags(ctx context.Context) (names []string, err error) {
	var images []struct{ RepoTags []string }
	if err := d.api().call(ctx, "GET", `/images/json?filters={"reference":["`+d.repo+`"]}`, nil, &images); err != nil {
		return nil, err
	}
	for _, i := range images {
		for _, name := range i.RepoTags {
			if strings.HasPrefix(name, d.repo+":") {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// Clean implements Engine: the daemon ends a build by itself when nobody waits
// for it any more, but keeps the names of what was built.
func (d *Engine) Clean(ctx context.Context) error {
	names, err := d.tags(ctx)
	for _, name := range names {
		if strings.HasPrefix(name, d.repo+":"+underWay) {
			err = errors.Join(err, d.untag(ctx, name))
		}
	}
	return errors.Join(err, d.Store.Clean(ctx))
}

// Collect implements Engine. Of docker's store, what went here goes there, too;
// the cache of steps is bounded by the daemon's own settings.
func (d *Engine) Collect(ctx context.Context, keep []string, limit int64) (freed int64, err error) {
	freed, err = d.Store.Collect(ctx, keep, limit)
	if err != nil || freed == 0 {
		return freed, err
	}
	_, images, err := d.Stored()
	if err != nil {
		return freed, err
	}
	held := map[string]bool{}
	for _, i := range images {
		held[d.name(i.ID)] = true
	}
	names, err := d.tags(ctx)
	for _, name := range names {
		if !held[name] {
			err = errors.Join(err, d.untag(ctx, name))
		}
	}
	return freed, errors.Join(err, d.forget())
}
