package agent

import (
	"context"
	"net/http"
	"time"

	"github.com/gitboot/gitboot/agent/lan"
	"github.com/gitboot/gitboot/agent/listen"
	"github.com/gitboot/gitboot/agent/mirror"
	"github.com/gitboot/gitboot/agent/webhook"
	"github.com/gitboot/gitboot/reconciler"
)

// knock is how long an address is waited for that cannot be listened on: at boot
// it may not be this machine's yet.
const knock = 30 * time.Second

// A door is a way in over HTTP that agent.toml opens.
type door struct {
	what        string
	at          listen.Options
	connections int
	handler     func(ctx context.Context) (http.Handler, error)
	// announced: others find it by looking.
	announced bool
}

// doors are those that there are by agent.toml.
func (a *Agent) doors(set Setup) []door {
	return []door{
		{what: "webhooks", at: set.Webhook, connections: 32, handler: func(ctx context.Context) (http.Handler, error) {
			return webhook.New(webhook.Options{SecretFile: set.WebhookSecret, Ask: a.hook(ctx), Log: a.Log})
		}},
		{what: "metrics", at: set.Metrics, connections: 16, handler: func(context.Context) (http.Handler, error) { return a.metrics.Handler(), nil }},
		{what: "other machines", at: set.Mirror, connections: mirror.Connections, announced: set.Announced, handler: func(context.Context) (http.Handler, error) {
			return mirror.New(mirror.Options{Stage: set.Reconciler.Machine.Stage, Repo: set.MirrorRepo, Ref: set.Reconciler.Repo.Source.Ref, Served: a.served, Log: a.Log}), nil
		}},
		{what: "the page", at: set.Page, connections: 256, handler: func(context.Context) (http.Handler, error) { return a.page.Handler(), nil }},
	}
}

// served counts what another machine was given.
func (a *Agent) served(kind string, bytes int64) {
	a.metrics.Served(kind, bytes)
	a.Board.Served(kind, bytes)
}

// hook asks for a look without waiting for whoever takes the wish.
func (a *Agent) hook(ctx context.Context) func(why string, update bool) {
	return func(why string, update bool) {
		go a.ask(ctx, reconciler.Ask{Trigger: why, Update: update})
	}
}

// keep serves a door until ctx ends. What cannot be listened on is told, and tried
// again: following the config repo does not depend on it.
func (a *Agent) keep(ctx context.Context, d door) {
	again := time.NewTicker(knock)
	defer again.Stop()
	for {
		err := a.open(ctx, d)
		if ctx.Err() != nil {
			return
		}
		a.Log.Error("nothing is listened to for "+d.what+"; it is tried again", "address", d.at.Address, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

func (a *Agent) open(ctx context.Context, d door) error {
	handler, err := d.handler(ctx)
	if err != nil {
		return err
	}
	l, err := d.at.Open()
	if err != nil {
		return err
	}
	a.Log.Info("listening for "+d.what, "address", l.Addr().String())
	if d.announced {
		defer lan.Beside(ctx, l.Addr(), d.at.Cert != "", a.Log)()
	}
	return listen.Serve(ctx, l, d.connections, handler)
}
