package speaker

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"
)

// Docker Hub is known by another name in credential files than the builder
// calls it by.
const (
	hubHost = "registry-1.docker.io"
	hubKey  = "https://index.docker.io/v1/"
)

// credentials let the builder pull what steps name from the registries that a
// credential file has.
type credentials struct {
	auth.UnimplementedAuthServer
	file *configfile.ConfigFile
}

// provideCredentials reads a docker or podman credential file, "" for none.
func provideCredentials(path string) (_ []session.Attachable, err error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the credential file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	file, err := config.LoadFromReader(f)
	if err != nil {
		return nil, fmt.Errorf("read the credential file %s: %w", path, err)
	}
	return []session.Attachable{&credentials{file: file}}, nil
}

// Register implements session.Attachable.
func (c *credentials) Register(s *grpc.Server) { auth.RegisterAuthServer(s, c) }

// Credentials answers the builder.
func (c *credentials) Credentials(_ context.Context, r *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	host := r.Host
	if host == hubHost {
		host = hubKey
	}
	found, err := c.file.GetAuthConfig(host)
	if err != nil {
		return nil, fmt.Errorf("read the credentials for %s: %w", r.Host, err)
	}
	if found.IdentityToken != "" {
		return &auth.CredentialsResponse{Secret: found.IdentityToken}, nil
	}
	return &auth.CredentialsResponse{Username: found.Username, Secret: found.Password}, nil
}
