package relayer

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
)

// MaxLayers is how many layers there are at most. Each is a mount at boot: 60 took 0.23 s,
// and one 5 ms; and overlayfs looks for names in all of them.
const MaxLayers = 32

// The layers, lowest first: those of one large group each, those of groups that change, and
// those of groups that were never seen to.
const (
	alone    = 15
	changing = 8
	steady   = MaxLayers - 1 - alone - changing
	highest  = MaxLayers - 1
)

// large is from which size on, in bytes, a group is alone while there are layers for that.
const large = 16_000_000

// A Group is what changes together.
type Group struct {
	Name, Version string
	Size          int64
}

// A Place is what is remembered of a group.
type Place struct {
	Layer   int    `json:"layer"`
	Version string `json:"version,omitempty"` // a hash of it
	// Changes is how often the version was another one.
	Changes int `json:"changes,omitempty"`
}

// Assign gives each group a layer. One that has not changed stays where it was before,
// whatever the others do.
func Assign(groups []Group, before map[string]Place) map[string]Place {
	out, taken := map[string]Place{}, map[int]bool{}
	groups = slices.Clone(groups)
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Name, b.Name)) })
	var moving []Group
	for _, g := range groups {
		was, known := before[g.Name]
		now := Place{Layer: was.Layer, Version: version(g), Changes: was.Changes}
		if known = known && was.Layer >= 0 && was.Layer < highest; known && was.Version != now.Version {
			now.Changes++
		}
		out[g.Name] = now
		if single := known && was.Layer < alone; single && !taken[was.Layer] {
			taken[was.Layer] = true
		} else if !known || single || now.Changes != was.Changes {
			moving = append(moving, g)
		}
	}
	for _, g := range moving {
		p := out[g.Name]
		p.Layer = choose(g, p.Changes > 0, taken)
		out[g.Name] = p
	}
	return out
}

// choose gives a group a layer that is in none, or changes anyway.
func choose(g Group, changed bool, taken map[int]bool) int {
	if g.Size >= large {
		for n := range alone {
			if !taken[n] {
				taken[n] = true
				return n
			}
		}
	}
	sum := sha256.Sum256([]byte(g.Name))
	n := binary.BigEndian.Uint64(sum[:])
	if changed || changes(g) {
		return alone + int(n%changing)
	}
	return alone + changing + int(n%steady)
}

// changes reports whether a group is expected to change though it was never seen to.
func changes(g Group) bool {
	switch {
	case strings.HasPrefix(g.Name, "/"): // what nobody owns: caches, and what the image's own steps made
		return true
	case strings.Contains(g.Version, "+deb"), strings.Contains(g.Version, "~deb"): // an update of a stable Debian
		return true
	}
	return slices.ContainsFunc([]string{"linux", "kernel", "firefox", "chromium", "thunderbird", "google-chrome", "intel-microcode", "amd64-microcode", "ca-certificates", "tzdata"},
		func(name string) bool { return strings.HasPrefix(g.Name, name) })
}

// version is short: what is remembered of two thousand groups is read at each build.
func version(g Group) string {
	if g.Version == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(g.Version))
	return hex.EncodeToString(sum[:6])
}
