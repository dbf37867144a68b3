package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/source"
)

// defaultStage is used on a machine that was not booted by gitboot.
const defaultStage = "/var/lib/gitboot"

// app holds the flags that all commands share, and makes a reconciler from
// them and agent.toml.
type app struct {
	flags         agentConfig
	config        string
	logLevel      string
	logFormat     string
	acceptRewrite string
	worktree      bool
	wait          bool
	update        bool
	poll          time.Duration
}

func (a *app) addFlags(f *pflag.FlagSet) {
	f.StringVar(&a.config, "config", "", "settings of this machine's agent (default "+defaultConfig+")")
	f.StringVar(&a.flags.Repo, "repo", "", "config repo: `URL` or path (default, for commands that only look: the one that the current folder belongs to)")
	f.StringVar(&a.flags.Branch, "branch", "", "branch of the config repo (default: its HEAD)")
	f.StringVar(&a.flags.Path, "path", "", "folder of gitboot.toml in the config repo (default: its root)")
	f.StringVar(&a.flags.Machine, "machine", "", "machine of the config repo that this is (default: gitboot.machine=, then the hostname)")
	f.StringVar(&a.flags.Stage, "stage", "", "folder that holds everything bootable (default: the one this system was booted from, else "+defaultStage+")")
	f.StringVar(&a.flags.Boot, "boot", "", "folder of GRUB's custom.cfg (default /boot/grub or /boot/grub2)")
	f.StringVar(&a.flags.StageLocation, "stage-location", "", "where the machine that boots finds the stage, as `UUID=…:/path` (default: looked up)")
	f.StringVar(&a.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&a.logFormat, "log-format", "text", "text or json")
}

func (a *app) configPath() string { return cmp.Or(a.config, defaultConfig) }

// settings merges agent.toml and flags.
func (a *app) settings() (agentConfig, error) {
	c, err := loadAgentConfig(a.configPath(), a.config != "")
	if err != nil {
		return c, err
	}
	c.Safe = append(c.Safe, c.Repo) // who may write agent.toml has chosen it
	override(&c.Repo, a.flags.Repo)
	override(&c.Branch, a.flags.Branch)
	override(&c.Path, a.flags.Path)
	override(&c.Stage, a.flags.Stage)
	override(&c.Boot, a.flags.Boot)
	override(&c.StageLocation, a.flags.StageLocation)
	return c, nil
}

// reconciler makes one for commands that change the stage, which it creates.
func (a *app) reconciler(c *cobra.Command, show *display) (*reconciler.Reconciler, error) {
	cfg, err := a.repoConfig(c, show)
	if err != nil {
		return nil, err
	}
	return reconciler.New(cfg)
}

// looking runs do for commands that only look at what the config repo wants:
// where there is no stage, they make none.
// Without another config repo they look at that of the current folder.
func (a *app) looking(c *cobra.Command, show *display, do func(*reconciler.Reconciler) error) error {
	if set, err := a.settings(); err == nil && set.Repo == "" {
		if repo, path, ok := here(); ok {
			a.flags.Repo, a.flags.Path = repo, cmp.Or(a.flags.Path, path)
		}
	}
	cfg, err := a.repoConfig(c, show)
	if err != nil {
		return err
	}
	return preview(cfg, do)
}

// worktreeFlag is for commands that look, and change nothing.
func (a *app) worktreeFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.worktree, "worktree", false, "read the config repo's folder as it lies there, committed or not, as validate does")
}

func preview(cfg reconciler.Config, do func(*reconciler.Reconciler) error) error {
	r, done, err := reconciler.Preview(cfg)
	if err != nil {
		return err
	}
	return errors.Join(do(r), done())
}

// repoConfig is for commands that need the config repo.
func (a *app) repoConfig(c *cobra.Command, show *display) (reconciler.Config, error) {
	cfg, err := a.reconcilerConfig(c, show)
	switch {
	case err != nil:
		return cfg, err
	case a.acceptRewrite != "" && !plumbing.IsHash(a.acceptRewrite):
		return cfg, usageError{fmt.Errorf("--accept-rewrite %q: give the tip's full hash, as the refusal named it", a.acceptRewrite)}
	case cfg.Source.URL == "":
		return cfg, usageError{fmt.Errorf("which config repo? give --repo, set repo in %s, or go to the repo's folder to look at what it wants", a.configPath())}
	}
	return cfg, nil
}

func (a *app) reconcilerConfig(c *cobra.Command, show *display) (reconciler.Config, error) {
	set, err := a.settings()
	if err != nil {
		return reconciler.Config{}, err
	}
	log, err := a.logger(c.ErrOrStderr(), show)
	if err != nil {
		return reconciler.Config{}, err
	}
	cmdline, err := readCmdline()
	if err != nil {
		return reconciler.Config{}, err
	}
	cfg := reconciler.Config{
		Source: source.Options{
			URL: set.Repo, Branch: set.Branch, TokenFile: set.TokenFile, SSHKeyFile: set.SSHKeyFile, KnownHostsFile: set.KnownHostsFile,
			CAFile: set.CAFile, TrustedKeys: set.TrustedKeys, AcceptRewrite: a.acceptRewrite, MinRevision: strings.ToLower(set.MinRevision), Safe: set.Safe, Timeout: time.Duration(set.Timeout),
		},
		RepoName: set.RepoName, Worktree: a.worktree, Subdir: set.Path, MachineID: machineID(), Stage: stageDir(set.Stage), Boot: set.Boot,
		BuildDir: set.BuildDir, Engine: set.Engine, CacheSize: int64(set.CacheSize), CredentialsFile: set.CredentialsFile, TokenServers: set.TokenServers, Booted: cmdline.Deployment,
		LayerSize: int64(set.LayerSize), LayerEntries: set.LayerEntries, Reserve: int64(set.StageReserve),
		Timing:    image.Timing{Idle: time.Duration(set.RegistryTimeout), Attempts: set.RegistryAttempts, MinRate: int64(set.RegistryRate)},
		ImageTime: time.Duration(set.ImageTime),
		Update:    a.update, Wait: a.wait, Log: log, Progress: show.progress(), Now: time.Now,
	}
	if cfg.Machine, cfg.MachineFrom, err = findMachine(set.Machine, a.flags.Machine, cmdline.Machine); err != nil {
		return cfg, err
	}
	if cfg.Location, err = parseLocation(set.StageLocation); err != nil {
		return cfg, usageError{fmt.Errorf("--stage-location %q: %w", set.StageLocation, err)}
	}
	if cfg.Init, err = findProgram("gitboot-init", set.Init, "init"); err != nil {
		return cfg, err
	}
	cfg.Buildkit, cfg.DockerSocket = set.Buildkit.find(), set.Docker.socket()
	return cfg, nil
}

// parseLocation reads --stage-location. Empty means to look it up.
func parseLocation(s string) (*boot.Filesystem, error) {
	if s == "" {
		return nil, nil
	}
	loc, err := deployment.ParseLocation(s)
	if err != nil {
		return nil, errors.New("is not of the form UUID=…:/path")
	}
	uuid, ok := strings.CutPrefix(loc.Device, "UUID=")
	if !ok {
		return nil, fmt.Errorf("names no UUID, by which GRUB finds the stage; give UUID=…:%s", loc.Path)
	}
	fs := &boot.Filesystem{UUID: uuid, Path: loc.Path}
	return fs, fs.Check()
}

func (a *app) logger(w io.Writer, show *display) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, usageError{fmt.Errorf("--log-level %q is not debug, info, warn or error", a.logLevel)}
	}
	if a.logFormat != "text" && a.logFormat != "json" {
		return nil, usageError{fmt.Errorf("--log-format %q is not text or json", a.logFormat)}
	}
	return show.logger(w, level, a.logFormat), nil
}

// stageDir chooses the stage: on a machine that gitboot booted, the one that
// it booted from.
func stageDir(configured string) string {
	if configured != "" {
		return configured
	}
	if info, err := os.Stat(deployment.StageMount); err == nil && info.IsDir() {
		return deployment.StageMount
	}
	return defaultStage
}

func machineID() string {
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
