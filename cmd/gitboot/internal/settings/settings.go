package settings

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/agent/reboot"
	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/proxy"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/notice"
	"github.com/gitboot/gitboot/reconciler/source"
)

// Flags override agent.toml, where they are given.
type Flags struct {
	Repo, Ref, Branch, Path, Machine, Stage, Boot, StageLocation string
}

// Settings are agent.toml with flags over it.
type Settings struct {
	Config
	flags Flags
}

// Load reads agent.toml, which may be missing unless it was named, and puts the
// flags over it.
func Load(path string, named bool, flags Flags) (Settings, error) {
	c, err := read(path, named)
	if err != nil {
		return Settings{}, err
	}
	c.Safe = append(append(c.Safe, c.Repos...), c.Repo) // who may write agent.toml has chosen it
	if flags.Repo != "" {
		c.Repo, c.Repos = flags.Repo, nil
	}
	if len(c.Repos) > 0 {
		c.Repo, c.Repos = c.Repos[0], c.Repos[1:]
	}
	if c.Ref, err = followed(c, flags); err != nil {
		return Settings{}, err
	}
	c.Path = cmp.Or(flags.Path, c.Path)
	c.Stage = cmp.Or(flags.Stage, c.Stage)
	c.Boot = cmp.Or(flags.Boot, c.Boot)
	c.StageLocation = cmp.Or(flags.StageLocation, c.StageLocation)
	return Settings{c, flags}, nil
}

// followed is the ref that flags or agent.toml name, be it as a branch.
func followed(c Config, flags Flags) (string, error) {
	if flags.Ref != "" && flags.Branch != "" {
		return "", usage.Errorf("--branch %q says what --ref %q says, too; give one of them", flags.Branch, flags.Ref)
	}
	for _, said := range []struct{ ref, branch string }{{flags.Ref, flags.Branch}, {c.Ref, c.Branch}} {
		switch {
		case said.ref != "":
			return said.ref, nil
		case said.branch != "":
			return "refs/heads/" + said.branch, nil
		}
	}
	return "", nil
}

// Every is how often the config repo is looked at: as a flag says, as agent.toml
// does, or each minute.
func (s Settings) Every(flag time.Duration) time.Duration {
	return cmp.Or(max(flag, 0), time.Duration(s.Poll), time.Minute)
}

// ControlSocket is where commands reach the agent, and whether that is only so by
// default: of another agent.toml than the usual one it has to be named.
func (s Settings) ControlSocket(named bool) (path string, usual bool) {
	if s.Socket == "" && !named {
		return control.Path, true
	}
	return s.Socket, false
}

// Local is what a reconciler has to be told for work on what is there already.
func (s Settings) Local() (reconciler.Config, error) {
	cmdline, err := Cmdline()
	return s.local(cmdline), err
}

func (s Settings) local(cmdline deployment.Cmdline) reconciler.Config {
	return reconciler.Config{
		Stage: s.StageDir(), Boot: s.Boot, Booted: cmdline.Deployment, BootID: bootID(), Via: cmdline.Via, Kexec: s.RebootMethod == string(reboot.Kexec), Notices: notice.Run,
		BuildDir: s.BuildDir, Engine: s.Engine, CacheSize: int64(s.CacheSize), Buildkit: s.Buildkit.find(), DockerSocket: s.Docker.socket(),
		IdentityFile: s.IdentityFile, SigningKeys: s.SigningKeys, SigningCredentials: s.SigningCredentialsFile,
	}
}

// Reconciler is all that one has to be told of this machine; what is asked of a
// run is added by who asks.
func (s Settings) Reconciler() (reconciler.Config, error) {
	cfg, err := s.Staged()
	if err == nil {
		cfg.Init, err = findProgram("gitboot-init", s.Init, "init")
	}
	return cfg, err
}

// Publishing is that for who publishes images' objects: without gitboot-init there are no
// initramfs among them.
func (s Settings) Publishing() (reconciler.Config, error) {
	cfg, err := s.Reconciler()
	if errors.As(err, new(*MissingProgramError)) {
		err = nil
	}
	return cfg, err
}

// Staged is that without gitboot-init, for work on what is staged: in a recovery entry
// there is none, and nothing is staged anew.
func (s Settings) Staged() (reconciler.Config, error) {
	cmdline, err := Cmdline()
	if err != nil {
		return reconciler.Config{}, err
	}
	cfg := s.local(cmdline)
	cfg.Source = source.Options{
		URL: s.Repo, Mirrors: s.Repos, Ref: s.Ref, TokenFile: s.TokenFile, TokenFiles: s.TokenFiles, SSHKeyFile: s.SSHKeyFile, PushTokenFile: s.PushTokenFile, PushSSHKeyFile: s.PushSSHKeyFile, KnownHostsFile: s.KnownHostsFile, CAFile: s.CAFile,
		Submodules: s.Submodules, SubmoduleHosts: s.SubmoduleHosts, TrustedKeys: s.TrustedKeys, ApproveKeys: s.ApproveKeys, Every: s.Signed == signedEvery, MinRevision: strings.ToLower(s.MinRevision), Safe: s.Safe, Timeout: time.Duration(s.Timeout),
	}
	cfg.Proxy, cfg.Peers = s.proxies(), s.peers()
	cfg.RepoName, cfg.Subdir, cfg.MachineID = s.RepoName, s.Path, machineID()
	cfg.CredentialsFile, cfg.TokenServers, cfg.ObjectsKey = s.CredentialsFile, s.TokenServers, s.ObjectsKeyFile
	cfg.LayerSize, cfg.LayerEntries, cfg.Reserve = int64(s.LayerSize), s.LayerEntries, int64(s.StageReserve)
	cfg.Timing = image.Timing{Idle: time.Duration(s.RegistryTimeout), Attempts: s.RegistryAttempts, MinRate: int64(s.RegistryRate)}
	cfg.ImageTime = time.Duration(s.ImageTime)
	if cfg.Machine, cfg.MachineFrom, err = s.machine(cmdline.Machine); err != nil {
		return cfg, err
	}
	if cfg.Location, err = parseLocation(s.StageLocation); err != nil {
		return cfg, usage.Errorf("--stage-location %q: %w", s.StageLocation, err)
	}
	if cfg.BootLocation, err = parseLocation(s.BootLocation); err != nil {
		return cfg, usage.Errorf("boot_location = %q: %w", s.BootLocation, err)
	}
	cfg.Programs = s.recovery()
	return cfg, nil
}

func (s Settings) proxies() proxy.Settings {
	return proxy.Settings{URL: s.Proxy, File: s.ProxyFile, Except: s.NoProxy}
}

// parseLocation reads --stage-location, with what that is on before an @. Empty means to
// look it up.
func parseLocation(s string) (fs *boot.Filesystem, err error) {
	if s == "" {
		return nil, nil
	}
	var assembly deployment.Assembly
	if on, rest, ok := strings.Cut(s, "@"); ok {
		if assembly, err = deployment.ParseAssembly(on); err != nil {
			return nil, fmt.Errorf("before the @: %w", err)
		}
		s = rest
	}
	loc, err := deployment.ParseLocation(s)
	if err != nil {
		return nil, errors.New("is not of the form UUID=…:/path")
	}
	uuid, ok := strings.CutPrefix(loc.Device, "UUID=")
	if !ok {
		return nil, fmt.Errorf("names no UUID, by which GRUB finds the stage; give UUID=…:%s", loc.Path)
	}
	fs = &boot.Filesystem{UUID: uuid, Path: loc.Path, Assembly: assembly}
	return fs, fs.Check()
}
