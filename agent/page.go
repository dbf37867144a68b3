package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/agent/page"
	"github.com/gitboot/gitboot/agent/trigger"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
)

// tail is how much of a build's log the page shows, in bytes.
const tail = 8 << 10

// newPage is this agent's page.
func (a *Agent) newPage() (*page.Page, error) {
	names := []string{"reconcile", "update"}
	for name := range a.operations() {
		if name != "page" {
			names = append(names, name)
		}
	}
	return page.New(page.Options{
		Actions: names,
		Board:   a.Board, Report: a.now.report, Plan: a.planned, Do: a.wished, Now: a.Now, Err: a.Log,
		Runs: func() ([]state.Run, error) { return state.Runs(a.now.get().Reconciler.Machine.Stage.Dir()) },
		Tail: func(image string) (string, error) { return a.now.get().Reconciler.Shop.Tail(image, tail) },
		Log: func(ctx context.Context, image string, w io.Writer) error {
			return a.now.get().Reconciler.Shop.Show(ctx, image, false, w)
		},
	})
}

// planned is what would change.
func (a *Agent) planned(ctx context.Context) ([]plan.Action, error) {
	p, err := a.now.get().Reconciler.Plan(ctx, reconciler.Request{Trigger: trigger.Command})
	if err != nil {
		return nil, err
	}
	return p.Actions(), nil
}

// wished does what somebody wishes on the page.
func (a *Agent) wished(ctx context.Context, by, name string, w page.Wish) (string, error) {
	switch name {
	case "reconcile":
		return "the config repo is looked at", a.reconcile(ctx, false, false)
	case "update":
		return "the config repo is looked at, and new digests are looked for", a.reconcile(ctx, true, false)
	}
	do, ok := a.operations()[name]
	if !ok {
		return "", fmt.Errorf("this agent has no operation %q", name)
	}
	request, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	result, err := do(control.As(ctx, by), request)
	if err != nil {
		return "", err
	}
	said, _ := result.(map[string]string)
	return said["done"], nil
}

// A PageAddress is where the page is, with a key that opens it once. The JSON
// fields are stable.
type PageAddress struct {
	URL string `json:"url"`
	// Socket is the one on which it is, empty if it is on an address.
	Socket string `json:"socket,omitempty"`
}

// openPage gives whoever asks by the socket a key for the page.
func (a *Agent) openPage(ctx context.Context, _ json.RawMessage) (any, error) {
	address := a.now.get().Page.Address
	if address == "" {
		return nil, errors.New("the page is off; set listen in the section [page] of agent.toml, such as \"127.0.0.1:8375\"")
	}
	open := "/open?key=" + a.page.Key(control.Caller(ctx))
	if socket, ok := strings.CutPrefix(address, "unix://"); ok {
		return PageAddress{URL: "http://127.0.0.1:8375" + open, Socket: socket}, nil
	}
	return PageAddress{URL: "http://" + address + open}, nil
}
