// Package credentials finds what registries are asked with, where docker and
// podman keep it.
package credentials

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/program"
)

// Credentials are what one repository is asked with.
type Credentials struct {
	Auth authn.Authenticator
	Note string // where they came from; "anonymous (why)"
}

// A credentialFile is docker's config.json or podman's auth.json: the same
// format (containers-auth.json(5)), podman's keys may name a repository.
type credentialFile struct {
	Auths map[string]struct {
		Auth          string `json:"auth"`
		Username      string `json:"username"`
		Password      string `json:"password"`
		IdentityToken string `json:"identitytoken"`
		RegistryToken string `json:"registrytoken"`
	} `json:"auths"`
	CredHelpers map[string]string `json:"credHelpers"`
	CredsStore  string            `json:"credsStore"`
}

// Find looks for those of a repository. A file that is there and
// cannot be read is an error: anonymous would be a guess.
func Find(ctx context.Context, repo name.Repository, named string) (Credentials, error) {
	paths, notes := []string{named}, []string(nil)
	if named == "" {
		paths, notes = defaultCredentialFiles()
	}
	var looked []string
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) && named == "" && p != os.Getenv("REGISTRY_AUTH_FILE") {
			continue
		}
		if err != nil {
			return Credentials{}, fmt.Errorf("read credential file: %w; correct its path or its permissions", err)
		}
		auth, err := lookUp(ctx, data, repo)
		if err != nil {
			return Credentials{}, fmt.Errorf("credential file %s: %w", p, err)
		}
		if auth != nil {
			return Credentials{auth, p}, nil
		}
		looked = append(looked, p)
	}
	return Credentials{authn.Anonymous, anonymousNote(repo, looked, notes)}, nil
}

func anonymousNote(repo name.Repository, looked, notes []string) string {
	if len(looked) > 0 {
		notes = append([]string{fmt.Sprintf("no entry for %s in %s", repo.RegistryStr(), strings.Join(looked, ", "))}, notes...)
	} else {
		notes = append([]string{"no credential file found"}, notes...)
	}
	return "anonymous (" + strings.Join(notes, "; ") + ")"
}

// defaultCredentialFiles lists where podman and docker keep theirs, and what
// stood in the way of looking.
func defaultCredentialFiles() (paths, notes []string) {
	if p := os.Getenv("REGISTRY_AUTH_FILE"); p != "" {
		paths = append(paths, p)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		paths = append(paths, filepath.Join(dir, "containers/auth.json"))
	} else if os.Geteuid() == 0 {
		paths = append(paths, "/run/containers/0/auth.json")
	}
	home := os.Getenv("HOME")
	if home == "" {
		notes = append(notes, "$HOME is not set, so no home folder was searched")
	}
	if dir := orBelow(os.Getenv("XDG_CONFIG_HOME"), home, ".config"); dir != "" {
		paths = append(paths, filepath.Join(dir, "containers/auth.json"))
	}
	if dir := orBelow(os.Getenv("DOCKER_CONFIG"), home, ".docker"); dir != "" {
		paths = append(paths, filepath.Join(dir, "config.json"))
	}
	return paths, notes
}

func orBelow(dir, home, name string) string {
	if dir != "" || home == "" {
		return dir
	}
	return filepath.Join(home, name)
}

// lookUp finds the most exact entry for repo; nil if there is none.
func lookUp(ctx context.Context, data []byte, repo name.Repository) (authn.Authenticator, error) {
	var file credentialFile
	if err := json.Unmarshal(data, &file); err != nil {
		// The parser's own words may quote what it stumbled over.
		return nil, errors.New("is not valid JSON of the expected form; write it with podman login or docker login")
	}
	registry := credentialKey(repo.RegistryStr())
	for key, helper := range file.CredHelpers {
		if credentialKey(key) == registry {
			return askHelper(ctx, helper, key)
		}
	}
	best, bestKey := "", ""
	for key := range file.Auths {
		k := credentialKey(key)
		if covers(k, registry+"/"+repo.RepositoryStr()) && (len(k) > len(best) || len(k) == len(best) && key < bestKey) {
			best, bestKey = k, key
		}
	}
	entry := file.Auths[bestKey]
	if bestKey == "" || entry.Auth+entry.Username+entry.IdentityToken+entry.RegistryToken == "" {
		if file.CredsStore == "" {
			return nil, nil
		}
		server := repo.RegistryStr()
		if server == name.DefaultRegistry {
			server = authn.DefaultAuthKey
		}
		return askHelper(ctx, file.CredsStore, server)
	}
	cfg := authn.AuthConfig{Username: entry.Username, Password: entry.Password, IdentityToken: entry.IdentityToken, RegistryToken: entry.RegistryToken}
	if entry.Auth != "" {
		user, password, err := decodeAuth(entry.Auth)
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", bestKey, err)
		}
		cfg.Username, cfg.Password = user, password
	}
	return authn.FromConfig(cfg), nil
}

// credentialKey brings the ways in which a registry is written down to one.
func credentialKey(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	key = strings.TrimSuffix(key, "/")
	key = strings.TrimSuffix(strings.TrimSuffix(key, "/v1"), "/v2")
	host, rest, found := strings.Cut(key, "/")
	if host == "docker.io" || host == "registry-1.docker.io" {
		host = name.DefaultRegistry
	}
	if found {
		return host + "/" + rest
	}
	return host
}

func covers(key, repo string) bool {
	return key != "" && strings.HasPrefix(repo, key+"/") || key == repo
}

func decodeAuth(s string) (user, password string, err error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
	user, password, found := strings.Cut(string(raw), ":")
	if err != nil || !found {
		return "", "", errors.New(`"auth" is not base64 of user:password; log in again`)
	}
	return user, strings.TrimRight(password, "\x00\n"), nil
}

var helperName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._-]+$`) })

// helperVariables are what helpers find their own configuration and their
// service by.
func helperVariables() []string {
	return []string{"HOME", "USER", "XDG_*", "DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME", "PASSWORD_STORE_DIR",
		"AWS_*", "GOOGLE_*", "CLOUDSDK_*", "AZURE_*", "SSL_CERT_FILE", "SSL_CERT_DIR"}
}

// askHelper runs a credential helper by docker's protocol: "get", the server
// on standard input, JSON on standard output.
func askHelper(ctx context.Context, helper, server string) (authn.Authenticator, error) {
	name := "docker-credential-" + helper
	if !helperName().MatchString(helper) {
		return nil, fmt.Errorf("credential helper %q: not a program's name", untrusted.Printable(helper, 60))
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := program.Command(ctx, name, "get")
	cmd.Env = slices.Concat(cmd.Env, program.Proxies(), program.Inherited(helperVariables()...))
	cmd.Stdin = strings.NewReader(server)
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if bytes.Contains(out, []byte("credentials not found")) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("run %s get for %s: %w; install it in one of %s, or mend it", name, server, err, program.Path)
	}
	var got struct{ Username, Secret string }
	if err := json.Unmarshal(out, &got); err != nil {
		return nil, fmt.Errorf("run %s get for %s: its output is not the protocol's JSON", name, server)
	}
	if got.Username == "<token>" {
		return authn.FromConfig(authn.AuthConfig{IdentityToken: got.Secret}), nil
	}
	return authn.FromConfig(authn.AuthConfig{Username: got.Username, Password: got.Secret}), nil
}
