// Package registry speaks to registries (OCI distribution-spec): what a tag
// means, what has a digest, from mirrors or the registry itself, and pushing.
package registry

import (
	"log/slog"
	"net/http"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/internal/progress"
)

// Options are those of package image that matter here, complete.
type Options struct {
	Mirrors         []string
	TrustMirrorTags bool
	Insecure        bool
	CredentialsFile string
	TokenServers    []string
	Connections     *exchange.Connections
	Timing          exchange.Timing
	Log             *slog.Logger
	Progress        progress.Sink
	// Local, if set, is asked in place of all mirrors and registries.
	Local http.Handler
}
