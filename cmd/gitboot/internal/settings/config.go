// Package settings is what one machine knows of itself: agent.toml, the flags of the
// same meaning, and what the running system tells. It makes the reconciler's
// configuration of them.
package settings

import (
	"fmt"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/progress"
)

// File is where the agent's own settings lie.
const File = "/etc/gitboot/agent.toml"

// A Config is agent.toml: what one machine needs to find its config repo.
// Flags of the same meaning override it.
type Config struct {
	Repo    string   `toml:"repo" is:"repo"`             // URL or path
	Repos   []string `toml:"repos" is:"repos" or:"repo"` // several, in their order
	Ref     string   `toml:"ref" is:"ref"`               // branch, tag or constraint; default: the remote's HEAD
	Branch  string   `toml:"branch" or:"ref"`            // a branch, whatever tags there are
	Path    string   `toml:"path"`                       // folder of gitboot.toml in the repo
	Machine string   `toml:"machine"`                    // default: gitboot.machine=, then the hostname
	Safe    []string `toml:"safe" is:"paths"`            // repos that are read though others own them
	// Submodules are read, if they are at the repo's host or one of SubmoduleHosts.
	Submodules     bool     `toml:"submodules"`
	SubmoduleHosts []string `toml:"submodule_hosts"`
	// RepoName and MinRevision say which repo it is, and how old it may be.
	RepoName    string `toml:"repo_name" is:"name"`
	MinRevision string `toml:"min_revision" is:"commit"`
	Stage       string `toml:"stage" is:"path"`
	Boot        string `toml:"boot" is:"path"`   // folder of custom.cfg
	Init        string `toml:"init" is:"path"`   // gitboot-init binary
	Rescue      string `toml:"rescue" is:"path"` // gitboot-rescue binary
	// SigningKeys is the folder of the keys that sign what boots.
	SigningKeys string `toml:"signing_keys" is:"path"`

	BuildDir  string `toml:"build_dir" is:"path"`
	Engine    string `toml:"engine" is:"engine"`
	CacheSize size   `toml:"cache_size"` // of the engine's store

	Buildkit buildkitConfig `toml:"buildkit"`
	Docker   dockerConfig   `toml:"docker"`
	Webhook  webhookConfig  `toml:"webhook"`
	Metrics  metricsConfig  `toml:"metrics"`
	Serve    serveConfig    `toml:"serve"`
	Notify   notifyConfig   `toml:"notify"`
	Forge    forgeConfig    `toml:"forge"`
	// Forges are others that are told, too, by names of the owner's.
	Forges map[string]forgeConfig `toml:"forges"`
	Page   pageConfig             `toml:"page"`

	// StageLocation is UUID=…:/path, for a stage on another machine's disk.
	StageLocation string `toml:"stage_location" is:"location"`
	// BootLocation is UUID=…:/, for a systemd-boot whose partition is not mounted here.
	BootLocation string `toml:"boot_location" is:"location"`

	TokenFile string `toml:"token_file" is:"path" holds:"secret"`
	// TokenFiles are those of hosts that TokenFile is not for.
	TokenFiles map[string]string `toml:"token_files" is:"token" holds:"secret"`
	SSHKeyFile string            `toml:"ssh_key_file" is:"path" holds:"secret"`
	// PushTokenFile and PushSSHKeyFile are what may push branches, where those above may
	// not.
	PushTokenFile   string `toml:"push_token_file" is:"path" holds:"secret"`
	PushSSHKeyFile  string `toml:"push_ssh_key_file" is:"path" holds:"secret"`
	KnownHostsFile  string `toml:"known_hosts_file" is:"path" holds:"public"`
	CAFile          string `toml:"ca_file" is:"path" holds:"public"`
	TrustedKeys     string `toml:"trusted_keys" is:"path" holds:"public"` // allowed_signers, keyring
	Signed          string `toml:"signed" is:"signed"`
	ApproveKeys     string `toml:"approve_keys" is:"path" holds:"public"` // whose tags approve; trusted_keys if absent
	CredentialsFile string `toml:"credentials_file" is:"path" holds:"secret"`
	// SigningCredentialsFile is for putting signatures beside images.
	SigningCredentialsFile string `toml:"signing_credentials_file" is:"path" holds:"secret"`
	IdentityFile           string `toml:"identity_file" is:"path" holds:"secret"` // opens the config repo's secrets
	// ObjectsKeyFile signs what images' layers become, which is published with what is
	// pushed.
	ObjectsKeyFile string `toml:"objects_key_file" is:"path" holds:"secret"`
	// TokenServers are hosts that credentials may be sent to besides their registry.
	TokenServers []string `toml:"token_servers" is:"hosts"`
	// Proxy is for git and registries, instead of the environment's; ProxyFile
	// holds it, so that a password need not be in agent.toml.
	Proxy     string   `toml:"proxy" is:"proxy"`
	ProxyFile string   `toml:"proxy_file" is:"path" holds:"secret" or:"proxy"`
	NoProxy   []string `toml:"no_proxy"`

	// Peers says where other machines are looked for that may have what is fetched.
	Peers string `toml:"peers" is:"peers"`

	Timeout duration `toml:"timeout"` // how long the config repo's server may send nothing
	Poll    duration `toml:"poll"`

	// Verify is when the agent verifies the stage.
	Verify string `toml:"verify" is:"verify"`
	// Reboot says whether the agent restarts the machine by itself.
	Reboot string `toml:"reboot" is:"reboot"`
	// RebootMethod says how.
	RebootMethod string `toml:"reboot_method" is:"reboot-method"`
	// RebootUptime is how long the machine runs before, RebootGrace the notice that is
	// given, RebootPatience how long who is logged in may hold it up.
	RebootUptime   duration        `toml:"reboot_uptime"`
	RebootGrace    duration        `toml:"reboot_grace"`
	RebootPatience duration        `toml:"reboot_patience"`
	Fleetlock      fleetlockConfig `toml:"fleetlock"`
	// Socket is where commands reach the agent.
	Socket string `toml:"socket" is:"path"`

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
	CA      string `toml:"ca" is:"path" holds:"public"`
	Cert    string `toml:"cert" is:"path" holds:"public"`
	Key     string `toml:"key" is:"path" holds:"secret"`
	Program string `toml:"program" is:"path"` // gitboot-buildkit
}

// dockerConfig is agent.toml's section [docker]: where the docker daemon is.
type dockerConfig struct {
	Address string `toml:"address" is:"socket"` // unix:///path
}

func (c dockerConfig) socket() string { return strings.TrimPrefix(c.Address, "unix://") }

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
