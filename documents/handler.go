package documents

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// slowest is how slowly an answer may leave, in bytes a second, beyond some seconds for
// its beginning: it is cut off then, and who asked resumes it.
const (
	slowest   = 128 << 10
	beginning = 20 * time.Second
)

// A Shelf is what is given out: an image's documents, and objects.
type Shelf struct {
	Store
	// Object opens what is given besides documents, by its sha256, in hex.
	Object func(sha256 string) (*os.File, error)
}

// Handler answers as a registry that nothing can be pushed to (OCI distribution-spec 1.1):
// manifests by digest and by tag, blobs, what refers to an image, tags. A repository is
// found by its path; where there are several of one path, by the host that is asked.
// Whoever asks has to decide whether to believe what a tag means here.
func (s Shelf) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}\n"))
	})
	mux.HandleFunc("GET /v2/", func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/v2/")
		for _, kind := range []struct {
			between string
			answer  func(http.ResponseWriter, *http.Request, string, string)
		}{{"/manifests/", s.manifest}, {"/blobs/", s.blob}, {"/referrers/", s.referrers}, {"/tags/", s.tags}} {
			at := strings.LastIndex(path, kind.between)
			if at > 0 && !strings.Contains(path[at+len(kind.between):], "/") {
				kind.answer(w, r, path[:at], path[at+len(kind.between):])
				return
			}
		}
		refuse(w, "NAME_UNKNOWN", "nothing is at this address")
	})
	return mux
}

// images are those of a repository, those seen last first.
func (s Shelf) images(r *http.Request, repository string) (found []Image) {
	list, err := s.Images()
	if err != nil {
		return nil
	}
	hosts := map[string]bool{}
	for _, img := range list {
		if host, path := img.split(); path == repository {
			found, hosts[host] = append(found, img), true
		}
	}
	if len(hosts) > 1 {
		found = slices.DeleteFunc(found, func(img Image) bool {
			host, _ := img.split()
			return host != r.Host
		})
	}
	return found
}

func (s Shelf) manifest(w http.ResponseWriter, r *http.Request, repository, name string) {
	sha256, byDigest := strings.CutPrefix(name, "sha256:")
	for _, img := range s.images(r, repository) {
		for _, e := range img.Documents {
			if !e.Manifest || !(byDigest && e.SHA256 == sha256 || name == e.Tag || name == img.Tag && "sha256:"+e.SHA256 == img.Named) {
				continue
			}
			if data, err := s.Read(e.SHA256); err == nil {
				give(w, r, e.SHA256, mediaType(data), data)
				return
			}
		}
	}
	refuse(w, "MANIFEST_UNKNOWN", "it is not here")
}

// blob gives a document or an object, of whatever repository: a digest means the same in
// each.
func (s Shelf) blob(w http.ResponseWriter, r *http.Request, _, name string) {
	sha256, ok := strings.CutPrefix(name, "sha256:")
	if !ok || !isHash(sha256) {
		refuse(w, "BLOB_UNKNOWN", "blobs are here by their sha256 alone")
		return
	}
	if data, err := s.Read(sha256); err == nil {
		give(w, r, sha256, "application/octet-stream", data)
		return
	}
	f, err := s.Object(sha256)
	if err != nil {
		refuse(w, "BLOB_UNKNOWN", "it is not here")
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		refuse(w, "BLOB_UNKNOWN", "it is not here")
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(beginning + time.Duration(info.Size()/slowest)*time.Second))
	head(w, sha256, "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, f)
}

func (s Shelf) referrers(w http.ResponseWriter, r *http.Request, repository, subject string) {
	list := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	kind, images := r.URL.Query().Get("artifactType"), s.images(r, repository)
	if len(images) == 0 {
		refuse(w, "NAME_UNKNOWN", "it is not here")
		return
	}
	for _, img := range images {
		for _, e := range img.Documents {
			d, refers := s.refers(e, subject)
			if refers && (kind == "" || d.ArtifactType == kind) && !slices.ContainsFunc(list.Manifests, func(other v1.Descriptor) bool { return other.Digest == d.Digest }) {
				list.Manifests = append(list.Manifests, d)
			}
		}
	}
	if kind != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	w.Header().Set("Content-Type", string(types.OCIImageIndex))
	_ = json.NewEncoder(w).Encode(list)
}

// refers describes a manifest that refers to another.
func (s Shelf) refers(e Entry, subject string) (d v1.Descriptor, refers bool) {
	if !e.Manifest {
		return d, false
	}
	data, err := s.Read(e.SHA256)
	if err != nil {
		return d, false
	}
	m, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil || m.Subject == nil || m.Subject.Digest.String() != subject {
		return d, false
	}
	return v1.Descriptor{
		MediaType: types.MediaType(mediaType(data)), Digest: v1.Hash{Algorithm: "sha256", Hex: e.SHA256}, Size: e.Size,
		ArtifactType: cmp.Or(m.ArtifactType, string(m.Config.MediaType)), Annotations: m.Annotations,
	}, true
}

func (s Shelf) tags(w http.ResponseWriter, r *http.Request, repository, what string) {
	var tags []string
	for _, img := range s.images(r, repository) {
		if img.Tag != "" {
			tags = append(tags, img.Tag)
		}
	}
	if what != "list" || len(tags) == 0 {
		refuse(w, "NAME_UNKNOWN", "it is not here")
		return
	}
	slices.Sort(tags)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": repository, "tags": slices.Compact(tags)})
}

// mediaType is that of a manifest or an index; a stranger wrote it, and it is no page's.
func mediaType(data []byte) string {
	var m struct {
		MediaType string            `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if json.Unmarshal(data, &m) == nil && strings.HasPrefix(m.MediaType, "application/vnd.") {
		return m.MediaType
	}
	if m.Manifests != nil {
		return string(types.OCIImageIndex)
	}
	return string(types.OCIManifestSchema1)
}

func head(w http.ResponseWriter, sha256, kind string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Docker-Content-Digest", "sha256:"+sha256)
	w.Header().Set("Etag", `"sha256:`+sha256+`"`)
}

func give(w http.ResponseWriter, r *http.Request, sha256, kind string, data []byte) {
	head(w, sha256, kind)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// refuse says why not, in the specification's form.
func refuse(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}
