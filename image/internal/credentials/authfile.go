package credentials

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// File writes, in docker's and podman's format, the credentials that some
// repositories are asked with, and no others. It is nil where there are none.
func File(ctx context.Context, repos []name.Repository, named string) ([]byte, error) {
	type entry struct {
		Auth          string `json:"auth,omitempty"`
		IdentityToken string `json:"identitytoken,omitempty"`
		RegistryToken string `json:"registrytoken,omitempty"`
	}
	auths := map[string]entry{}
	for _, repo := range repos {
		found, err := Find(ctx, repo, named)
		if err != nil || found.Auth == authn.Anonymous {
			if err != nil {
				return nil, fmt.Errorf("image %s: %w", repo.Name(), err)
			}
			continue
		}
		c, err := found.Auth.Authorization()
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", repo.Name(), untrusted.Clean(err))
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
