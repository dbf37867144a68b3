package recipe

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// renderVersion changes when the same recipe renders to something else.
const renderVersion = "2"

// A Part is one thing that decides an image, and a hash of it.
type Part struct {
	Name string `json:"name"`
	Hash string `json:"hash"`
}

func hashPart(name string, data []byte) Part {
	sum := sha256.Sum256(data)
	return Part{name, hex.EncodeToString(sum[:8])}
}

// A Key is all that decides an image, sorted by name.
type Key []Part

// Settings are what decides an image besides its recipe.
type Settings struct {
	// Base identifies the base's content, "" for scratch.
	Base   string
	Engine string
	// Test is what the image has to pass before it counts as built, if something.
	Test string
	// Relayer says what its layers are made of anew, if they are.
	Relayer string
}

// Key returns what the image is built from. Its parts are named as the config
// repo names them.
func (p *Prepared) Key(s Settings) Key {
	parts := map[string]Part{}
	put := func(part Part) { parts[part.Name] = part }
	for _, part := range p.parts {
		put(part)
	}
	for name, value := range p.Args {
		put(hashPart("args."+name, []byte(value)))
	}
	put(hashPart("from", []byte(s.Base)))
	put(hashPart("engine", []byte(s.Engine)))
	put(hashPart("secrets", []byte(strings.Join(slices.Sorted(maps.Keys(p.Secrets)), " "))))
	if s.Test != "" { // what was built before it had to pass is built once more
		put(hashPart("test", []byte(s.Test)))
	}
	if s.Relayer != "" {
		put(hashPart("relayer", []byte(s.Relayer)))
	}
	if p.Platform != "" {
		put(hashPart("platform", []byte(p.Platform)))
	}
	if len(p.Bootstrap) > 0 {
		put(hashPart("bootstrap", fmt.Appendf(nil, "%q", p.Bootstrap)))
	}
	for _, ref := range p.References {
		put(hashPart("FROM "+ref, []byte(p.digests[ref])))
	}
	put(hashPart("gitboot's rendering", append([]byte(renderVersion), p.template...)))
	key := slices.Collect(maps.Values(parts))
	slices.SortFunc(key, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	return key
}

// Equal reports whether two keys give the same image.
func (k Key) Equal(other Key) bool { return slices.Equal(k, other) }

// maxDifferences is how many differences are told one by one.
const maxDifferences = 12

// Differences says what changed from an older key: "NAME changed", "NAME is
// new", "NAME is gone"; of many, the first ones. A changed order or the like, which no part shows by
// itself, is told by the rendering alone.
func (k Key) Differences(old Key) []string {
	var out []string
	before, now := old.byName(), k.byName()
	for _, part := range k {
		switch hash, ok := before[part.Name]; {
		case !ok:
			out = append(out, part.Name+" is new")
		case hash != part.Hash:
			out = append(out, part.Name+" changed")
		}
	}
	for _, part := range old {
		if _, ok := now[part.Name]; !ok {
			out = append(out, part.Name+" is gone")
		}
	}
	const rendering = "gitboot's rendering changed"
	if len(out) > 1 {
		// Whatever changed a fragment changed the rendering too.
		out = slices.DeleteFunc(out, func(s string) bool { return s == rendering })
	}
	if more := len(out) - maxDifferences; more > 1 {
		out = append(out[:maxDifferences], fmt.Sprintf("and %d more", more))
	}
	return out
}

func (k Key) byName() map[string]string {
	out := make(map[string]string, len(k))
	for _, part := range k {
		out[part.Name] = part.Hash
	}
	return out
}
