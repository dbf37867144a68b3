// Package registry speaks to registries (OCI distribution-spec): what a tag
// means, what has a digest, from mirrors or the registry itself, and pushing.
package registry

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"

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
	// Peers, if set, are asked first for files of artifacts.
	Peers *Peers
	// Given counts what comes of whom, if it is set.
	Given *Counter
	// Local, if set, is asked in place of all mirrors and registries.
	Local http.Handler
}

// Sources are the endpoints of one image with the patience for them.
type Sources struct {
	list []*endpoint
	// mirrorTags: not only the last, the registry, says what a tag means.
	mirrorTags bool
	// peers, if there are, may have what artifacts hold.
	peers *Peers
	given *Counter
	exchange.Patience
}

// A Giver is one who gives what has a digest: a peer, a mirror or the registry.
type Giver struct {
	// Kind is one of the kinds below, and Host HOST[:PORT].
	Kind, Host string
}

// The kinds.
const (
	Peer   = "peer"
	Mirror = "mirror"
	Own    = "registry"
)

// Given is how many bytes of blobs, or of parts of them, came of whom.
type Given map[Giver]int64

// A Counter counts what comes of whom. Its zero value has nothing yet; nil counts nothing.
type Counter struct {
	mu    sync.Mutex
	given Given
}

func (c *Counter) add(by Giver, n int) {
	if c == nil || n == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.given == nil {
		c.given = Given{}
	}
	c.given[by] += int64(n)
}

// Now is what has come until now, what turned out to be wrong included.
func (c *Counter) Now() Given {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.given)
}

// each asks the endpoints in order until one serves. When none does, those
// that failed for a passing reason are asked again after a pause.
func (s *Sources) each(ctx context.Context, list []*endpoint, try func(*endpoint) error) error {
	lasting := make([]error, len(list))
	for round := 1; ; round++ {
		errs := make([]error, len(list))
		again := false
		for i, e := range list {
			if errs[i] = lasting[i]; errs[i] != nil {
				continue
			}
			err := try(e)
			if err == nil {
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errs[i] = err; exchange.Passing(err) {
				again = true
			} else {
				lasting[i] = err
			}
			s.Log.Debug("source failed", "source", e.String(), "attempt", round, "error", err)
		}
		err := exchange.JoinSources(errs)
		if !again {
			return err
		}
		if round >= s.Timing.Attempts {
			return fmt.Errorf("after %d attempts: %w", round, err)
		}
		if err := s.Pause(ctx, round, err); err != nil {
			return err
		}
	}
}

// NewSources parses ref and lists who may serve it.
func NewSources(ctx context.Context, ref string, opts Options) (Reference, *Sources, error) {
	var parse []name.Option
	if opts.Insecure {
		parse = append(parse, name.Insecure)
	}
	parsed, err := ParseReference(ref, parse...)
	if err != nil {
		return Reference{}, nil, err
	}
	list, err := newEndpoints(ctx, parsed, opts)
	if err != nil {
		return Reference{}, nil, fmt.Errorf("image %s: %w", parsed.Name(), err)
	}
	peers := opts.Peers
	if opts.Local != nil {
		peers = nil
	}
	return parsed, &Sources{list, opts.TrustMirrorTags, peers, opts.Given, exchange.Patience{Timing: opts.Timing, Log: opts.Log}}, nil
}

// tags lists who may say what a tag means. Whoever says it decides what boots,
// which no digest checks: that is the registry, the last of the list.
func (s *Sources) tags() []*endpoint {
	if s.mirrorTags {
		return s.list
	}
	return s.list[len(s.list)-1:]
}

// silentMirrors adds to a failure that there were others, who were not asked.
func (s *Sources) silentMirrors(err error) error {
	if len(s.tags()) == len(s.list) {
		return err
	}
	var mirrors []string
	for _, e := range s.list[:len(s.list)-1] {
		mirrors = append(mirrors, e.String())
	}
	return fmt.Errorf("%w; mirrors (%s) are not asked what a tag means, because that decides what boots: name the image with a digest, or set trust_mirror_tags = true if they may",
		err, strings.Join(mirrors, ", "))
}
