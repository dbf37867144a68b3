package spec

import (
	"context"
	"errors"
)

// What a repo contains is input. These bounds are beyond what a fleet of ten
// thousand machines needs, and keep any repo of 10 MB within about 2 seconds
// and 200 MB. docs/config.md tells them.
const (
	maxConfig      = 16 << 20 // bytes of all config files
	maxConfigFiles = 20_000
	maxKeys        = 200_000   // keys and elements of arrays in all config files
	maxFile        = 64 << 20  // bytes of a file that a hook brings
	maxFiles       = 128 << 20 // and of all of them
	maxPath        = 4096      // bytes of a path in the repo
	// maxSearch is how much is done to find the files of include: each entry
	// of a folder counts 8, and 1 for each glob that it may match.
	maxSearch = 4_000_000
	// maxWork is how much is done to check declarations, and then for each
	// machine; maxWorkInAll for all machines of a fleet. The units are about a
	// microsecond.
	maxWork      = 500_000
	maxWorkInAll = 3_000_000
)

// A meter counts what is done for a repo, and ends it when it was enough, or
// when the context ends.
type meter struct {
	ctx    context.Context
	left   int
	enough error // what is said once nothing is left
}

// spend says whether n more may be done.
func (m *meter) spend(n int) bool {
	m.left -= n
	return m.left >= 0 && m.ctx.Err() == nil
}

var (
	errWork      = errors.New("it makes gitboot do too much: loop less, print less, or declare less for one machine")
	errWorkInAll = errors.New("all machines together make gitboot do too much: validate them one by one, with --machine")
)
