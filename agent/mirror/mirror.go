// Package mirror gives other machines what this one has on its stage: as a registry that
// nothing can be pushed to (package documents), so that whoever names it among an image's
// mirrors fetches from here, and from the registry what is not here. What a tag means here
// is what it meant when this machine staged it; whether that counts is for others to say.
//
// It gives out objects of image layers, kernels, and the initramfs that are made for
// them, and what the images' registries say of them. Neither layers of hooks, which may
// hold secrets, nor a recovery entry's initramfs, which holds keys, nor manifests of
// deployments, nor anything else of the stage.
//
// Where it is asked to, it gives the config repo, too, as a git server (package
// uploadpack) at /repo.
package mirror

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/documents"
	"github.com/gitboot/gitboot/reconciler/source/uploadpack"
	"github.com/gitboot/gitboot/stage"
)

// Connections are how many are worth serving at once.
const Connections = 64

// RepoPath is where the config repo is.
const RepoPath = "/repo"

// Options say what is given.
type Options struct {
	Stage *stage.Stage
	// Repo gives the config repo, too, whose Ref is followed here.
	Repo bool
	Ref  string
	// Served, if set, is told of each answer that gave something: of which kind (object,
	// document, repo), and how many bytes it had.
	Served func(kind string, bytes int64)
	Log    *slog.Logger
}

// New answers for a stage, and logs who got what.
func New(o Options) http.Handler {
	m := mirror{o.Stage}
	mux := http.NewServeMux()
	mux.Handle("/", documents.Shelf{Store: documents.Store(filepath.Join(o.Stage.Dir(), stage.DocumentsDir)), Object: m.open}.Handler())
	if o.Repo {
		mux.Handle(RepoPath+"/", http.StripPrefix(RepoPath, uploadpack.Repo{Dir: o.Stage.Repo(), Ref: o.Ref, Log: o.Log}.Handler()))
	}
	return told(mux, o)
}

type mirror struct{ stage *stage.Stage }

// open opens an object that others may have.
func (m mirror) open(sha256 string) (*os.File, error) {
	f, err := os.Open(m.stage.ObjectPath(deployment.Object{SHA256: sha256}))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !m.gives(deployment.Object{SHA256: sha256, Size: info.Size()}) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// gives reports whether an object is one that others may have: a deployment names it as
// such, none as its hooks, and it is not known to be damaged.
func (m mirror) gives(o deployment.Object) bool {
	ids, err := m.stage.Deployments()
	if err != nil || m.stage.Damaged(o) {
		return false
	}
	public := false
	for _, id := range ids {
		d, err := m.stage.Deployment(id)
		switch {
		case err != nil || d.Recovery:
			continue
		case d.Hooks != nil && *d.Hooks == o:
			return false
		}
		public = public || slices.Contains(d.Layers, o) || d.Kernel == o || d.Initramfs == o
	}
	return public
}
