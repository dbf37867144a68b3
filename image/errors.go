package image

import (
	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/image/registry"
)

// What callers tell apart, and what is said in a few words of all others.
type (
	AuthError        = exchange.AuthError
	NotFoundError    = exchange.NotFoundError
	UnknownHostError = exchange.UnknownHostError
	InsecureError    = exchange.InsecureError
	StatusError      = exchange.StatusError
	TokenServerError = exchange.TokenServerError
	ProxyError       = exchange.ProxyError
	DigestError      = untrusted.DigestError
	UnsupportedError = untrusted.UnsupportedError
	ExpansionError   = expand.ExpansionError
)

// ErrIdle is the cause when a server sent nothing for Timing.Idle, ErrSlow when
// it sent or took less than Timing.MinRate.
var (
	ErrIdle = exchange.ErrIdle
	ErrSlow = exchange.ErrSlow
)

type (
	// Connections are those to registries and to servers of archives.
	Connections = exchange.Connections
	// Peers are machines of the same network that may have what was published.
	Peers = registry.Peers
	// Timing bounds how long faults are endured.
	Timing = exchange.Timing
	// An Expansion bounds what comes out of a compressed layer.
	Expansion = expand.Expansion
)
