// Package mirror gives other machines what this one has on its stage: as a mirror of
// registries (OCI distribution-spec 1.1, "Pulling blobs"), and only by digest, so that
// whoever names it among an image's mirrors fetches objects from here, and from the
// registry what is not here.
//
// It gives out objects of image layers, kernels, and the initramfs that are made for
// them, to whoever knows their digest: the description that is published beside an image
// says it. Neither layers of hooks, which may hold secrets, nor a recovery entry's
// initramfs, which holds keys, nor manifests, nor anything else of the stage.
package mirror

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
)

// Connections are how many are worth serving at once.
const Connections = 64

// slowest is how slowly an answer may leave, in bytes a second, beyond some seconds for
// its beginning: it is cut off then, and who asked resumes it.
const (
	slowest   = 128 << 10
	beginning = 20 * time.Second
)

// New answers for a stage.
func New(st *stage.Stage) http.Handler {
	m := &mirror{st}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}\n"))
	})
	mux.HandleFunc("GET /v2/", m.blob)
	return mux
}

type mirror struct{ stage *stage.Stage }

// blob answers for /v2/<repository>/blobs/<digest>, of whatever repository: a digest means
// the same in each.
func (m *mirror) blob(w http.ResponseWriter, r *http.Request) {
	repository, digest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/blobs/")
	hex, sha256 := strings.CutPrefix(digest, "sha256:")
	if !ok || repository == "" || !sha256 || !deployment.IsHash(hex) {
		refuse(w, "NAME_UNKNOWN", "only blobs are here, by their sha256")
		return
	}
	f, err := os.Open(m.stage.ObjectPath(deployment.Object{SHA256: hex}))
	if err != nil {
		refuse(w, "BLOB_UNKNOWN", "it is not here")
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || !m.gives(deployment.Object{SHA256: hex, Size: info.Size()}) {
		refuse(w, "BLOB_UNKNOWN", "it is not here")
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(beginning + time.Duration(info.Size()/slowest)*time.Second))
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Etag", `"`+digest+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
}

// gives reports whether an object is one that others may have: a deployment names it as
// such, none as its hooks, and it is not known to be damaged.
func (m *mirror) gives(o deployment.Object) bool {
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

// refuse says why not, in the specification's form.
func refuse(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}
