package workshop

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/gitboot/gitboot/spec"
)

// A publication is what is to be published of an image, short of its layers.
type publication struct {
	spec.Push
	Tag    string // the dated one
	Labels map[string]string
	Image  string // hashes of its layers and configuration
	Config string
	// Objects is the file of the key that signs what its layers become, "" if that is
	// not published.
	Objects string `json:",omitempty"`
}

// publication is nil for an image that is published nowhere or not built yet.
func (s *Shop) publication(b *build) *publication {
	if b.want.Build.Push == nil || b.state.ID == "" {
		return nil
	}
	p := &publication{Push: *b.want.Build.Push, Image: b.state.Digest, Config: b.state.Config, Objects: s.ObjectsKey}
	made := b.state.Made
	p.Tag = datedTag(p.Ref, made.Time)
	const prefix = "org.opencontainers.image."
	p.Labels = map[string]string{
		prefix + "title": b.want.Name, prefix + "version": p.Tag,
		prefix + "revision": made.Revision, prefix + "created": made.Time.UTC().Format(time.RFC3339),
	}
	if source := publicURL(s.Repo); source != "" {
		p.Labels[prefix+"source"] = source
	}
	return p
}

// key hashes what decides what is published. How the registry is reached does
// not, nor what helps machines that have an earlier one.
func (p publication) key() string {
	p.Insecure, p.CredentialsFile, p.Deltas = false, "", 0
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings always marshal
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// datedTag is the reference's tag and the time of the build, in UTC. A tag has
// 128 letters at most.
func datedTag(ref string, at time.Time) string {
	stamp := at.UTC().Format("-20060102T150405Z")
	tag := ref[strings.LastIndexByte(ref, ':')+1:]
	return tag[:min(len(tag), 128-len(stamp))] + stamp
}

// publicURL is where others find the config repo, without what is secret in
// its URL; "" for a path of this machine.
func publicURL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme == "file" {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
