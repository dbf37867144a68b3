package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// CredentialFile writes, in docker's and podman's format, the credentials that
// some references are asked with, and no others: for an engine that fetches
// them itself. It is nil where there are none.
func CredentialFile(ctx context.Context, refs []string, opts Options) ([]byte, error) {
	type entry struct {
		Auth          string `json:"auth,omitempty"`
		IdentityToken string `json:"identitytoken,omitempty"`
		RegistryToken string `json:"registrytoken,omitempty"`
	}
	auths := map[string]entry{}
	for _, ref := range refs {
		parsed, err := name.ParseReference(ref)
		if err != nil {
			return nil, fmt.Errorf("image reference %q: %s", untrusted.CleanText(ref), untrusted.CleanText(err.Error()))
		}
		repo := parsed.Context()
		found, err := findCredentials(ctx, repo, opts.CredentialsFile)
		if err != nil || found.auth == authn.Anonymous {
			if err != nil {
				return nil, fmt.Errorf("image %s: %w", parsed.Name(), err)
			}
			continue
		}
		c, err := found.auth.Authorization()
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", parsed.Name(), untrusted.Clean(err))
		}
		e := entry{IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken}
		if c.Username != "" {
			e.Auth = base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password))
		}
		host := repo.RegistryStr()
		if host == name.DefaultRegistry {
			host = authn.DefaultAuthKey // what all engines know Docker's registry by
		}
		if _, ok := auths[host]; !ok {
			auths[host] = e
		}
		auths[repo.Name()] = e
	}
	if len(auths) == 0 {
		return nil, nil
	}
	return json.Marshal(map[string]any{"auths": auths})
}
