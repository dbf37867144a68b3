// Package agent is the long-running program around reconciler: what asks for a
// run (package trigger), what goes on (package live), and the socket by which
// commands reach it (package control). It decides nothing about machines.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/agent/fleetlock"
	"github.com/gitboot/gitboot/agent/forge"
	"github.com/gitboot/gitboot/agent/listen"
	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/agent/metrics"
	"github.com/gitboot/gitboot/agent/notify"
	"github.com/gitboot/gitboot/agent/outbox"
	"github.com/gitboot/gitboot/agent/page"
	"github.com/gitboot/gitboot/agent/reboot"
	"github.com/gitboot/gitboot/agent/systemd"
	"github.com/gitboot/gitboot/agent/trigger"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/event"
)

// A Setup is what agent.toml says.
type Setup struct {
	Reconciler *reconciler.Reconciler
	// Poll is how often to look when nothing else asks for it.
	Poll time.Duration
	// Update looks for new digests each time.
	Update bool
	// Socket is where commands reach the agent, "" for nowhere; Own says that it is
	// where it is by default, so that one that cannot be opened is no error.
	Socket string
	Own    bool
	// Webhook is where forges and registries are listened to, without an address
	// nowhere; WebhookSecret is the file of the secrets that they show.
	Webhook       listen.Options
	WebhookSecret string
	// Notify says who is told of what happens.
	Notify notify.Options
	// Forges are told how this machine gets on with commits.
	Forges []forge.Options
	// Verify is when the stage is verified, as cron, or integrity.Off.
	Verify string
	// Reboot says whether the machine is restarted by itself, and how; Leave who has
	// to give leave, without a URL nobody.
	Reboot reboot.Options
	// Kexec is the command that restarts the machine by kexec.
	Kexec []string
	Leave fleetlock.Options
	// Metrics is where figures are asked for, without an address nowhere.
	Metrics listen.Options
	// Page is where people look, without an address nowhere.
	Page listen.Options
	// Mirror is where other machines fetch what is on the stage, without an address
	// nowhere; MirrorRepo gives them the config repo, too.
	Mirror     listen.Options
	MirrorRepo bool
	// Announced says that others find that address by looking for it (package lan).
	Announced bool
}

// Options are what an agent is made of.
type Options struct {
	// Load reads agent.toml: at the start, and again when File has changed.
	Load func() (Setup, error)
	File string
	// Signals ask for a look, and to read File again.
	Signals <-chan os.Signal
	Board   *live.Board
	Systemd *systemd.Notifier // nil to tell nobody
	Log     *slog.Logger
	Now     func() time.Time
}

// An Agent runs one machine. Its fields do not change.
type Agent struct {
	Options
	asks chan reconciler.Ask
	now  setup
	// pulse is received from by the loop for as long as it gets on.
	pulse   chan struct{}
	metrics *metrics.Metrics
	// audience are those outside that are told of what happens.
	audience audience
	page     *page.Page
}

// Run follows the config repo until ctx ends.
func Run(ctx context.Context, opts Options) error {
	first, err := opts.Load()
	if err != nil {
		return err
	}
	a := &Agent{Options: opts, asks: make(chan reconciler.Ask), pulse: make(chan struct{}), audience: audience{boxes: map[string]*outbox.Outbox{}}}
	a.now.put(first)
	a.metrics = a.figures()
	if a.page, err = a.newPage(); err != nil {
		return err
	}
	stop, err := a.listen(ctx, first)
	if err != nil {
		return err
	}
	defer stop()
	changes := trigger.File(ctx, opts.File, opts.Log)
	for {
		a.Systemd.Ready()
		next := a.follow(ctx, changes)
		if next == nil {
			a.Systemd.Stopping()
			return nil
		}
		a.now.put(*next)
	}
}

// tell takes an event to all who want to know.
func (a *Agent) tell(e event.Event) {
	a.Board.Tell(e)
	a.metrics.Tell(e)
	a.Systemd.Status(a.Board.Line())
	a.audience.tell(e)
}

// errChanged tells who waits for a run that it was ended.
var errChanged = errors.New("agent.toml has changed meanwhile, or the agent ends: what was staged before still boots, and the next run goes on from here")

// follow follows the config repo as agent.toml says now, until that is another,
// which is returned, or ctx ends.
func (a *Agent) follow(ctx context.Context, changes <-chan struct{}) (next *Setup) {
	running, stop := context.WithCancelCause(ctx)
	set := a.now.get()
	var going sync.WaitGroup
	for _, deliver := range a.seat(set) {
		going.Go(func() { deliver(running) })
	}
	going.Go(func() {
		set.Reconciler.Follow(running, a.asks, reconciler.Watch{Tell: a.tell, Next: a.Board.SetNext, Restart: a.restarting(running, set), Alive: a.Systemd.Alive, Every: a.Systemd.Watchdog(), Rest: rest})
	})
	going.Go(func() { a.verify(running, set) })
	for _, d := range a.doors(set) {
		if d.at.Address != "" {
			going.Go(func() { a.keep(running, d) })
		}
	}
	if set.Leave.URL != "" {
		going.Go(func() { a.arrive(running, set) })
	}
	defer func() {
		stop(errChanged)
		going.Wait()
	}()
	looks := trigger.Run(running, trigger.Options{Every: set.Poll, Name: set.Reconciler.Machine.Name, Repo: set.Reconciler.Repo.Folder(), Due: a.due, Now: a.Now, Signals: a.Signals, Log: a.Log})
	for {
		select {
		case <-ctx.Done():
			return nil
		case why := <-looks:
			a.ask(ctx, reconciler.Ask{Trigger: why, Update: set.Update})
		case <-a.pulse:
		case <-changes:
			if next := a.reload(); next != nil {
				return next
			}
		}
	}
}

// due is when something is to be done by the clock, the zero time for never.
func (a *Agent) due() time.Time {
	if next := a.Board.Snapshot().Next; len(next) > 0 {
		return next[0].Time
	}
	return time.Time{}
}

// reload reads agent.toml again. One that is wrong changes nothing.
func (a *Agent) reload() *Setup {
	a.Systemd.Reloading()
	defer a.Systemd.Ready()
	e := event.Event{Time: a.Now().UTC(), Kind: event.Settings, Machine: a.now.get().Reconciler.Machine.Name}
	next, err := a.Load()
	if err != nil {
		e.Error = err.Error()
		a.Log.Error("agent.toml changed and is refused; the settings stay as they were", "error", err)
		a.tell(e)
		return nil
	}
	a.Log.Info("agent.toml changed and is applied")
	a.tell(e)
	return &next
}

func (a *Agent) ask(ctx context.Context, ask reconciler.Ask) {
	select {
	case <-ctx.Done():
	case a.asks <- ask:
	}
}

// reconcile is what the socket asks for.
func (a *Agent) reconcile(ctx context.Context, update, wait bool) error {
	ask, done := reconciler.Ask{Trigger: trigger.Command, Update: update, Person: true}, make(chan error, 1)
	if wait {
		ask.Done = func(err error) { done <- err }
	}
	if a.ask(ctx, ask); !wait || ctx.Err() != nil {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-done:
		return err
	}
}

// listen opens the socket, and closes it with the function that it returns.
func (a *Agent) listen(ctx context.Context, set Setup) (stop func(), err error) {
	none := func() {}
	if set.Socket == "" {
		return none, nil
	}
	l, err := control.Listen(set.Socket)
	if err != nil && set.Own && !errors.Is(err, control.ErrRunning) {
		a.Log.Warn("commands cannot reach this agent", "error", err)
		return none, nil
	}
	if err != nil {
		return none, err
	}
	socket := control.Agent{
		Board: a.Board, Reconcile: a.reconcile, Log: a.Log, Operations: a.operations(),
		Report: a.now.report,
	}
	server := control.Server(socket.Handler(), a.Log)
	server.BaseContext = func(net.Listener) context.Context { return ctx } // who listens to events is let go
	go func() {
		if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.Log.Error(fmt.Sprintf("the socket %s is closed", set.Socket), "error", err)
		}
	}()
	return func() { _ = server.Close() }, nil
}
