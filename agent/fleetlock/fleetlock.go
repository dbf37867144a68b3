// Package fleetlock asks a server of the FleetLock protocol for leave to restart a
// machine, so that a fleet never restarts all at once: as many machines as the
// server's group has slots, and of those the next ones only when the first have
// come up.
//
// The protocol is Zincati's (coreos.github.io/zincati/development/fleetlock/protocol):
// two requests, by which a client takes a slot, and gives it back. Both may be
// repeated. A slot is one of its client's id, and nobody else gives it back.
package fleetlock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/agent/outbound"
	"github.com/gitboot/gitboot/internal/proxy"
)

// Options say which server is asked; without a URL none is.
type Options struct {
	// URL is what the protocol's two addresses are below.
	URL string
	// Group is whose slots are asked for, ID by which name.
	Group, ID string
	TokenFile string
	Proxy     proxy.Settings
	CAFile    string
}

// DefaultGroup is the group of those that name none.
const DefaultGroup = "default"

// The addresses below the server's URL.
const (
	lockPath   = "/v1/pre-reboot"
	unlockPath = "/v1/steady-state"
)

// groupName is what the protocol takes for one.
var groupName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9.-]+$`) })

// CheckGroup says what is wrong with the name of a group.
func CheckGroup(name string) error {
	if !groupName().MatchString(name) {
		return errors.New("is no name of a group: letters, digits, dots and hyphens")
	}
	return nil
}

// Lock takes a slot, or keeps the one that the machine has. That there is none is
// an error, as is a server that does not answer.
func (o Options) Lock(ctx context.Context) error { return o.ask(ctx, "take a slot of", lockPath) }

// Unlock gives the slot back; a machine that has none may do so, too.
func (o Options) Unlock(ctx context.Context) error {
	return o.ask(ctx, "give back a slot of", unlockPath)
}

// request is the protocol's document.
type request struct {
	Client client `json:"client_params"`
}

type client struct {
	ID    string `json:"id"`
	Group string `json:"group"`
}

func (o Options) ask(ctx context.Context, what, path string) error {
	body, err := json.Marshal(request{client{ID: o.ID, Group: o.Group}})
	if err != nil {
		return err
	}
	err = outbound.New(o.Proxy, o.CAFile).Try(ctx, outbound.Document{
		URL: strings.TrimRight(o.URL, "/") + path, Body: body,
		Header:    http.Header{"Content-Type": {"application/json"}, "Fleet-Lock-Protocol": {"true"}},
		TokenFile: o.TokenFile, Authorize: func(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) },
	})
	if err != nil {
		return fmt.Errorf("%s the group %s: %w", what, o.Group, err)
	}
	return nil
}
