// Package bounds keeps what is read of a config repo, and done for it, within
// what a large fleet needs.
package bounds

import (
	"context"
	"errors"
)

// What a repo contains is input. These bounds are beyond what a fleet of ten
// thousand machines needs, and keep any repo of 10 MB within about 2 seconds
// and 200 MB. docs/config.md tells them.
const (
	MaxConfig      = 16 << 20 // bytes of all config files
	MaxConfigFiles = 20_000
	MaxKeys        = 200_000   // keys and elements of arrays in all config files
	MaxFile        = 64 << 20  // bytes of a file that a hook brings
	MaxFiles       = 128 << 20 // and of all of them
	MaxPath        = 4096      // bytes of a path in the repo
	// MaxSearch is how much is done to find the files of include: each entry
	// of a folder counts 8, and 1 for each glob that it may match.
	MaxSearch = 4_000_000
	// MaxWork is how much is done to check declarations, and then for each
	// machine; MaxWorkInAll for all machines of a fleet. The units are about a
	// microsecond.
	MaxWork      = 500_000
	MaxWorkInAll = 3_000_000
)

// A Meter counts what is done for a repo, and ends it when it was enough, or
// when the context ends.
type Meter struct {
	Ctx    context.Context
	Left   int
	Enough error // what is said once nothing is left
}

// Spend says whether n more may be done.
func (m *Meter) Spend(n int) bool {
	m.Left -= n
	return m.Left >= 0 && m.Ctx.Err() == nil
}

var (
	ErrWork      = errors.New("it makes gitboot do too much: loop less, print less, or declare less for one machine")
	ErrWorkInAll = errors.New("all machines together make gitboot do too much: validate them one by one, with --machine")
)
