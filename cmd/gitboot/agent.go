package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/internal/owned"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler"
)

// defaultConfig is where the agent's own settings lie.
const defaultConfig = "/etc/gitboot/agent.toml"

// agentConfig is agent.toml: what one machine needs to find its config repo.
// Flags of the same meaning override it.
type agentConfig struct {
	Repo    string   `toml:"repo" is:"repo"`  // URL or path
	Branch  string   `toml:"branch"`          // default: the remote's HEAD
	Path    string   `toml:"path"`            // folder of gitboot.toml in the repo
	Machine string   `toml:"machine"`         // default: gitboot.machine=, then the hostname
	Safe    []string `toml:"safe" is:"paths"` // repos that are read though others own them
	// RepoName and MinRevision say which repo it is, and how old it may be.
	RepoName    string `toml:"repo_name" is:"name"`
	MinRevision string `toml:"min_revision" is:"commit"`
	Stage       string `toml:"stage" is:"path"`
	Boot        string `toml:"boot" is:"path"` // folder of custom.cfg
	Init        string `toml:"init" is:"path"` // gitboot-init binary

	BuildDir  string `toml:"build_dir" is:"path"`
	Engine    string `toml:"engine" is:"engine"`
	CacheSize size   `toml:"cache_size"` // of the engine's store

	Buildkit buildkitConfig `toml:"buildkit"`
	Docker   dockerConfig   `toml:"docker"`

	// StageLocation is UUID=…:/path, for a stage on another machine's disk.
	StageLocation string `toml:"stage_location" is:"location"`

	TokenFile       string `toml:"token_file" is:"path"`
	SSHKeyFile      string `toml:"ssh_key_file" is:"path"`
	KnownHostsFile  string `toml:"known_hosts_file" is:"path"`
	CAFile          string `toml:"ca_file" is:"path"`
	TrustedKeys     string `toml:"trusted_keys" is:"path"` // allowed_signers
	CredentialsFile string `toml:"credentials_file" is:"path"`
	// TokenServers are hosts that credentials may be sent to besides their registry.
	TokenServers []string `toml:"token_servers" is:"hosts"`
	Timeout      duration `toml:"timeout"` // how long the config repo's server may send nothing
	Poll         duration `toml:"poll"`

	// LayerSize and LayerEntries are how much a layer may hold, and how many
	// files; StageReserve is what stays free of the stage's file system.
	LayerSize    size `toml:"layer_size"`
	LayerEntries int  `toml:"layer_entries" is:"count"`
	StageReserve size `toml:"stage_reserve"`

	// RegistryTimeout is how long a registry may send nothing, and
	// RegistryAttempts how often what failed for a passing reason is tried.
	RegistryTimeout  duration `toml:"registry_timeout"`
	RegistryAttempts int      `toml:"registry_attempts" is:"count"`
	// RegistryRate is how many bytes a second a registry has to send at least,
	// ImageTime how long an image's layers may take.
	RegistryRate size     `toml:"registry_rate"`
	ImageTime    duration `toml:"image_time"`
}

// buildkitConfig is agent.toml's section [buildkit]: where the builder is.
type buildkitConfig struct {
	Address string `toml:"address" is:"builder"` // unix:///path or tcp://host:port
	CA      string `toml:"ca" is:"path"`
	Cert    string `toml:"cert" is:"path"`
	Key     string `toml:"key" is:"path"`
	Program string `toml:"program" is:"path"` // gitboot-buildkit
}

// dockerConfig is agent.toml's section [docker]: where the docker daemon is.
type dockerConfig struct {
	Address string `toml:"address" is:"socket"` // unix:///path
}

func (c dockerConfig) socket() string { return strings.TrimPrefix(c.Address, "unix://") }

// find completes the section. If the program is not installed, the images that
// need it say so.
func (c buildkitConfig) find() reconciler.Buildkit {
	out := reconciler.Buildkit{Program: "gitboot-buildkit", Builder: protocol.Builder{Address: c.Address, CA: c.CA, Cert: c.Cert, Key: c.Key}}
	if path, err := findProgram(out.Program, c.Program, ""); err == nil {
		out.Program = path
	}
	return out
}

// duration is written as "90s" or "5m" in agent.toml.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err == nil && v <= 0 {
		err = fmt.Errorf("%s is not a positive duration", text)
	}
	*d = duration(v)
	return err
}

// size is written as "500MB" or "20GB" in agent.toml; units are of a thousand.
type size int64

func (s *size) UnmarshalText(text []byte) error {
	n, err := progress.ParseBytes(string(text))
	*s = size(n)
	return err
}

// loadAgentConfig reads path. The default file may be missing; a named one
// may not. All that is wrong with it is said at once.
func loadAgentConfig(path string, named bool) (agentConfig, error) {
	var c agentConfig
	if err := owned.Check(path); err != nil {
		return c, usageError{fmt.Errorf("read %s: %w", path, err)}
	}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return c, nil
	case err != nil:
		return c, usageError{fmt.Errorf("read %s: %w", path, err)}
	}
	meta, err := toml.Decode(string(data), &c)
	if err != nil {
		return c, usageError{fmt.Errorf("read %s: %w", path, err)}
	}
	if problems := checkAgent(c, meta.Undecoded(), path, string(data)); len(problems) > 0 {
		return c, usageError{errors.New(problems.Error())}
	}
	return c, nil
}

// agentKeys are the keys of agent.toml, as docs/agent.md explains them: those
// of a section after its name and a dot.
func agentKeys() []string { return keysOf("", reflect.TypeFor[agentConfig]()) }

func keysOf(section string, t reflect.Type) (keys []string) {
	for f := range t.Fields() {
		key := section + f.Tag.Get("toml")
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, keysOf(key+".", f.Type)...)
		} else {
			keys = append(keys, key)
		}
	}
	return keys
}

// override replaces what a flag has given.
func override(setting *string, flag string) {
	if flag != "" {
		*setting = flag
	}
}

// findMachine decides which machine of the config repo this is, and says
// where the name came from.
func findMachine(configured, flag, cmdline string) (name, from string, err error) {
	if flag != "" {
		return flag, "--machine", nil
	}
	if configured != "" {
		return configured, "agent.toml", nil
	}
	if cmdline != "" {
		return cmdline, "gitboot.machine= on the kernel command line", nil
	}
	host, err := os.Hostname()
	if err != nil {
		return "", "", fmt.Errorf("find the machine's name: %w; give --machine", err)
	}
	short, _, _ := strings.Cut(host, ".")
	return short, "the hostname", nil
}

// findProgram looks for one of gitboot's other programs where an installation
// or a build puts it. key is the one of agent.toml that names it.
func findProgram(name, configured, key string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", err
	}
	dir := filepath.Dir(self)
	for _, path := range []string{filepath.Join(dir, name), filepath.Join(dir, "../lib/gitboot", name)} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s beside %s or in ../lib/gitboot: not there; install it with `make install`, or name it with %s in agent.toml", name, self, key)
}
