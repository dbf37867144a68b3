package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gitboot/gitboot/agent/systemd"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/browse"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/checkup"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/disks"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/joining"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/operating"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/sealing"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/settings"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/signing"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/virtual"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/doctor"
	"github.com/gitboot/gitboot/stage"
)

func newRoot() *cobra.Command {
	app := &app{}
	root := &cobra.Command{
		Use:   "gitboot",
		Short: "A git repo decides what this machine boots",
		Long: `gitboot clones a config repo, stages the images and hooks that it declares for
this machine, and writes boot menu entries for them.`,
		Example: `  gitboot init ~/fleet                 # a small config repo to start from
  gitboot validate ~/fleet
  gitboot plan --repo ~/fleet --machine laptop
  gitboot reconcile --once`,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		DisableAutoGenTag:          true,
		Version:                    version,
		Args:                       usage.KnownCommand,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetHelpTemplate(root.HelpTemplate() + "\n" + exitHelp + "\n")
	root.SetFlagErrorFunc(usage.OfCobra)
	app.addFlags(root.PersistentFlags())
	root.AddCommand(
		newReconcile(app), newAgent(app), newPlan(app), newStatus(app), newEvents(app), newHistory(app), browse.New(app.client), checkup.New(app.patient), newValidate(app), newInit(), joining.New(joining.Site{Flags: &app.flags, Config: app.configPath, Run: within(app)}), newSpec(),
		newImage(app), newStage(app), newHook(app), newServe(app), newVersion(),
	)
	root.AddCommand(documenting()...)
	site := operating.Site{Open: app.stageReconciler, Repo: app.reconciler, Agent: memberOf(app), Wait: &app.wait, Generations: app.completeGenerations(false)}
	ofBoot := operating.BootCommands(site)
	root.AddCommand(newBoot(app, ofBoot))
	others := operating.Commands(site)
	root.AddCommand(others...)
	for _, c := range slices.Concat(others, ofBoot) {
		c.PostRun = nudge(app)
	}
	root.AddCommand(disks.New(diskSite(app)), disks.Install(diskSite(app)), sealing.New(sealingSite(app)), signing.New(signingSite(app)), virtual.New(virtual.Site{Open: app.stageReconciler, Generations: app.completeGenerations(false)}))
	root.SetVersionTemplate("gitboot {{.Version}}\n")
	usage.StrictHelp(root)
	ownCompletion(root)
	app.completeFlags(root)
	return root
}

func jsonFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON with stable fields")
}

func newVersion() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: usage.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), map[string]string{"version": version})
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), "gitboot", version)
		return err
	}
	return c
}

// app holds the flags that all commands share, and makes a reconciler from
// them and agent.toml.
type app struct {
	flags         settings.Flags
	config        string
	logLevel      string
	logFormat     string
	acceptRewrite string
	worktree      bool
	wait          bool
	update        bool
	anyway        bool
	fetch         bool
	retry         bool
	poll          time.Duration
}

func (a *app) addFlags(f *pflag.FlagSet) {
	f.StringVar(&a.config, "config", "", "settings of this machine's agent (default "+settings.File+")")
	f.StringVar(&a.flags.Repo, "repo", "", "config repo: `URL` or path (default, for commands that only look: the one that the current folder belongs to)")
	f.StringVar(&a.flags.Ref, "ref", "", "branch or tag of the config repo, or a constraint on its tags, as v1.* (default: its HEAD)")
	f.StringVar(&a.flags.Branch, "branch", "", "branch of the config repo, whatever tags it has")
	f.StringVar(&a.flags.Path, "path", "", "folder of gitboot.toml in the config repo (default: its root)")
	f.StringVar(&a.flags.Machine, "machine", "", "machine of the config repo that this is (default: gitboot.machine=, then the hostname)")
	f.StringVar(&a.flags.Stage, "stage", "", "folder that holds everything bootable (default: the one this system was booted from, else "+settings.DefaultStage+")")
	f.StringVar(&a.flags.Boot, "boot", "", "folder of GRUB's custom.cfg (default /boot/grub or /boot/grub2), where systemd-boot's partition is mounted (default /efi, /boot or /boot/efi), of extlinux.conf (default /boot/extlinux), or of a Raspberry Pi's config.txt (default /boot/firmware or /boot)")
	f.StringVar(&a.flags.StageLocation, "stage-location", "", "where the machine that boots finds the stage, as `UUID=…:/path` (default: looked up)")
	f.StringVar(&a.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&a.logFormat, "log-format", "", "text or json (default: text, or fields where the journal reads)")
}

// within runs other commands, with agent.toml alone, in one that has written it.
func within(a *app) func(*cobra.Command, io.Writer, ...string) error {
	return func(c *cobra.Command, out io.Writer, args ...string) error {
		root := newRoot()
		root.SetArgs(append([]string{"--config", a.configPath(), "--log-level", a.logLevel, "--log-format", a.logFormat}, args...))
		root.SetIn(c.InOrStdin())
		root.SetOut(out)
		root.SetErr(c.ErrOrStderr())
		return root.ExecuteContext(c.Context())
	}
}

func (a *app) configPath() string { return cmp.Or(a.config, settings.File) }

// settings merges agent.toml and flags.
func (a *app) settings() (settings.Settings, error) {
	return settings.Load(a.configPath(), a.config != "", a.flags)
}

// request is what a command asks of a run.
func (a *app) request() reconciler.Request {
	return reconciler.Request{Trigger: "command", Update: a.update, Wait: a.wait, Anyway: a.anyway, Fetch: a.fetch, Retry: a.retry}
}

// reconciler makes one for commands that change the stage, which it creates.
func (a *app) reconciler(c *cobra.Command, show *screen.Display) (*reconciler.Reconciler, error) {
	cfg, err := a.repoConfig(c, show)
	if err != nil {
		return nil, err
	}
	return reconciler.New(cfg)
}

// looking runs do for commands that only look at what the config repo wants:
// where there is no stage, they make none.
// Without another config repo they look at that of the current folder.
func (a *app) looking(c *cobra.Command, show *screen.Display, do func(*reconciler.Reconciler) error) error {
	here(a)
	cfg, err := a.repoConfig(c, show)
	if err != nil {
		return err
	}
	return preview(cfg, do)
}

// here takes the config repo of the current folder where no other is named.
func here(a *app) {
	set, err := a.settings()
	if err != nil || set.Repo != "" {
		return
	}
	if repo, path, ok := settings.Here(); ok {
		a.flags.Repo, a.flags.Path = repo, cmp.Or(a.flags.Path, path)
	}
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
func (a *app) repoConfig(c *cobra.Command, show *screen.Display) (reconciler.Config, error) {
	cfg, err := a.reconcilerConfig(c, show)
	switch {
	case err != nil:
		return cfg, err
	case a.acceptRewrite != "" && !plumbing.IsHash(a.acceptRewrite):
		return cfg, usage.Errorf("--accept-rewrite %q: give the tip's full hash, as the refusal named it", a.acceptRewrite)
	case cfg.Source.URL == "":
		return cfg, usage.Errorf("which config repo? give --repo, set repo in %s, or go to the repo's folder to look at what it wants", a.configPath())
	}
	return cfg, nil
}

func (a *app) reconcilerConfig(c *cobra.Command, show *screen.Display) (reconciler.Config, error) {
	return configOf(a, c, show, settings.Settings.Reconciler)
}

// configOf is what settings give, and what is asked of a run.
func configOf(a *app, c *cobra.Command, show *screen.Display, give func(settings.Settings) (reconciler.Config, error)) (reconciler.Config, error) {
	set, err := a.settings()
	if err != nil {
		return reconciler.Config{}, err
	}
	log, err := a.logger(c.ErrOrStderr(), show)
	if err != nil {
		return reconciler.Config{}, err
	}
	cfg, err := give(set)
	cfg.Source.AcceptRewrite, cfg.Worktree = a.acceptRewrite, a.worktree
	cfg.Log, cfg.Progress, cfg.Now = systemd.For(cfg.Machine, log), show.Progress(), time.Now
	return cfg, err
}

// localConfig is for work on a stage that needs neither the config repo nor
// gitboot's other programs.
func (a *app) localConfig(show *screen.Display) (reconciler.Config, error) {
	set, err := a.settings()
	if err != nil {
		return reconciler.Config{}, err
	}
	cfg, err := set.Local()
	cfg.Progress = show.Progress()
	return cfg, err
}

// stageReconciler makes a reconciler for commands that need no config repo.
func (a *app) stageReconciler(c *cobra.Command, show *screen.Display) (*reconciler.Reconciler, error) {
	cfg, err := configOf(a, c, show, settings.Settings.Staged)
	if err != nil {
		return nil, err
	}
	return reconciler.Existing(cfg)
}

func (a *app) openStage() (*stage.Stage, error) {
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	return stage.Open(set.StageDir())
}

func (a *app) logger(w io.Writer, show *screen.Display) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, usage.Errorf("--log-level %q is not debug, info, warn or error", a.logLevel)
	}
	if a.logFormat != "" && a.logFormat != "text" && a.logFormat != "json" {
		return nil, usage.Errorf("--log-format %q is not text or json", a.logFormat)
	}
	return show.Logger(w, level, a.logFormat), nil
}

// binaryTo refuses to write what no terminal can show to one.
func binaryTo(w io.Writer) error {
	if screen.Terminal(w) == nil {
		return nil
	}
	return usage.Errorf("this is a binary file, and standard output a terminal; name a file with -o, or pipe it into another program")
}

// patient is this machine, as far as its settings tell.
func (a *app) patient(c *cobra.Command) (doctor.Patient, error) {
	p := doctor.Patient{File: a.configPath()}
	log, err := a.logger(io.Discard, nil) // what is wrong is told as findings
	if err != nil {
		return p, err
	}
	set, err := a.settings()
	if err == nil {
		p.Config, err = set.Reconciler()
		how := set.Restarts()
		p.Restarts, p.Kexec = how.ByItself(), how.ByKexec()
		p.Serve = doctor.Served{Address: set.Serve.Listen, TLS: set.Serve.TLSCert != "", Repo: set.Serve.Repo}
		for _, f := range set.Named() {
			p.Named = append(p.Named, doctor.NamedFile(f))
		}
	}
	if errors.As(err, new(*settings.MissingProgramError)) {
		p.Program, err = err, nil
	}
	p.Settings, p.Config.Log, p.Config.Now = err, log, time.Now
	return p, context.Cause(c.Context())
}

// sealingSite is what commands about secrets are given of the flags.
func sealingSite(a *app) sealing.Site {
	return sealing.Site{
		Config: func(c *cobra.Command) (reconciler.Config, error) {
			cfg, err := a.reconcilerConfig(c, nil)
			if errors.As(err, new(*settings.MissingProgramError)) {
				err = nil // nothing is staged
			}
			return cfg, err
		},
		Create: func(c *cobra.Command) (*reconciler.Reconciler, error) {
			cfg, err := a.reconcilerConfig(c, nil)
			if err != nil && !errors.As(err, new(*settings.MissingProgramError)) {
				return nil, err
			}
			return reconciler.New(cfg)
		},
		Wait: &a.wait, Repo: &a.flags.Repo, Path: &a.flags.Path,
	}
}
