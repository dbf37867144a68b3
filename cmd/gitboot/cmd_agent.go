package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gitboot/gitboot/agent"
	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/agent/systemd"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/integrity"
)

func newAgent(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "agent",
		Short: "Follow the config repo for as long as this machine runs",
		Long: `agent looks at the config repo again and again, and at once when a repo on this
machine changes, when it gets SIGHUP, or by gitboot reconcile --now. It converges
this machine on what it finds and builds the images that it is to build: the next
boot is the commit; what runs now changes at the reboot.

What it does, and why, is shown by gitboot status and gitboot events. It is what
gitboot.service runs, and the same as gitboot reconcile without --once.`,
		Example: `  gitboot agent
  gitboot agent --repo ~/fleet --machine laptop --poll 10s
  systemctl enable --now gitboot`,
		Args: usage.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runAgent(c, a) },
	}
	f := c.Flags()
	f.DurationVar(&a.poll, "poll", 0, "how often to look at the config repo (default 1m)")
	f.BoolVar(&a.update, "update", false, "look for new digests each time, whether or not a schedule is due")
	return c
}

func runAgent(c *cobra.Command, a *app) error {
	if c.Flags().Changed("poll") && a.poll <= 0 {
		return usage.Errorf("--poll %s: give a positive duration", a.poll)
	}
	show := screen.New(c.ErrOrStderr())
	log, err := a.logger(c.ErrOrStderr(), show)
	if err != nil {
		return errors.Join(err, show.Close())
	}
	set, err := a.settings()
	if err != nil {
		return errors.Join(err, show.Close())
	}
	if err := set.Live(); err != nil {
		return errors.Join(rest(c.Context(), log, err), show.Close())
	}
	hups := make(chan os.Signal, 1)
	signal.Notify(hups, syscall.SIGHUP)
	defer signal.Stop(hups)
	board := live.New(version, time.Now)
	err = agent.Run(c.Context(), agent.Options{
		Load: func() (agent.Setup, error) { return a.setup(c, show, board) },
		File: a.configPath(), Signals: hups, Board: board, Systemd: systemd.NewNotifier(log), Log: log, Now: time.Now,
	})
	return errors.Join(err, show.Close())
}

// rest is an agent that has nothing to do, and says so once: its unit is no failure.
func rest(ctx context.Context, log *slog.Logger, why error) error {
	told := systemd.NewNotifier(log)
	log.Warn(why.Error())
	told.Ready()
	told.Status("nothing to do: this system runs from a medium")
	alive := time.NewTicker(max(told.Watchdog()/2, time.Second))
	defer alive.Stop()
	for {
		select {
		case <-alive.C:
			told.Alive()
		case <-ctx.Done():
			told.Stopping()
			return nil
		}
	}
}

// setup is what agent.toml and flags say of an agent.
func (a *app) setup(c *cobra.Command, show *screen.Display, board *live.Board) (agent.Setup, error) {
	cfg, err := a.repoConfig(c, show)
	if err != nil {
		return agent.Setup{}, err
	}
	cfg.Progress = both(cfg.Progress, board.Progress)
	set, err := a.settings()
	if err != nil {
		return agent.Setup{}, err
	}
	r, err := reconciler.New(cfg)
	if err != nil {
		return agent.Setup{}, err
	}
	out := agent.Setup{Reconciler: r, Poll: set.Every(a.poll), Update: a.update, Reboot: set.Restarts(), Kexec: again(c, "boot", "kexec"), Verify: cmp.Or(set.Verify, integrity.Weekly), Leave: set.Leave(cfg.Machine)}
	out.Socket, out.Own = set.ControlSocket(a.config != "")
	out.Webhook, out.WebhookSecret, out.Metrics = set.Webhook.Options(), set.Webhook.SecretFile, set.Metrics.Options()
	out.Notify, out.Forges = set.Notifications(), set.Forges(cfg.Machine)
	out.Page, out.Mirror, out.MirrorRepo = set.Page.Options(), set.Serve.Options(), set.Serve.Repo
	out.Announced = set.Announced()
	return out, nil
}

// again is this program's command line for another command, with the same flags.
func again(c *cobra.Command, command ...string) []string {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	argv := append([]string{self}, command...)
	shared := c.InheritedFlags()
	c.Flags().Visit(func(f *pflag.Flag) {
		if shared.Lookup(f.Name) != nil {
			argv = append(argv, "--"+f.Name+"="+f.Value.String())
		}
	})
	return argv
}

func both(one, other progress.Sink) progress.Sink {
	if one == nil {
		return other
	}
	return func(ev progress.Event) {
		one(ev)
		other(ev)
	}
}

// client speaks to this machine's agent.
func (a *app) client() (*control.Client, error) {
	set, err := a.settings()
	if err != nil {
		return nil, err
	}
	path, _ := set.ControlSocket(a.config != "")
	if path == "" {
		return nil, usage.Errorf("%s names no socket, by which the agent could be asked; set socket in it", a.config)
	}
	return control.NewClient(path), nil
}

// memberOf gives the agent to who is not root, and so may have it do at most what
// it does for members of its group.
func memberOf(a *app) func() *control.Client {
	return func() *control.Client {
		if os.Geteuid() == 0 || a.flags.Stage != "" { // another stage is not the agent's
			return nil
		}
		agent, err := a.client()
		if err != nil {
			return nil // what is wrong is told by what follows
		}
		return agent
	}
}

// nudge tells a running agent that somebody has changed what it goes by. Without
// one there is nobody to tell.
func nudge(a *app) func(*cobra.Command, []string) {
	return func(c *cobra.Command, _ []string) {
		ctx, cancel := context.WithTimeout(c.Context(), time.Second)
		defer cancel()
		if agent, err := a.client(); err == nil {
			_ = agent.Reconcile(ctx, control.ReconcileRequest{}) // it looks by itself before long
		}
	}
}

// askNow has the agent look at the config repo.
func askNow(ctx context.Context, a *app) error {
	agent, err := a.client()
	if err != nil {
		return err
	}
	return agent.Reconcile(ctx, control.ReconcileRequest{Update: a.update, Wait: a.wait})
}
