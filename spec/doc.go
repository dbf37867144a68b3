// Package spec turns a config repo into what one machine wants.
//
//	fleet, err := spec.Load(ctx, files)        // everything is checked; err is Problems
//	wants, err := fleet.Resolve(ctx, "laptop") // one machine, files read, templates rendered
//
// A config repo has a gitboot.toml at its root and the TOML files that it
// includes. docs/config.md is the reference of their keys.
//
// # Problems
//
// Load reports every problem at once, each with file, line, key, value and
// remedy. Only where a file is not valid TOML does it hold something back:
// that file's other mistakes, and references between declarations, since what
// the file declares is unknown. What depends on a machine's variables
// (templates, and what they render to) is reported by Resolve.
//
// # How it works
//
// The structs in declare.go are the schema. The decoder fills them from the
// TOML library's values, merge lays them over each other, and Schema prints
// them as JSON Schema, all led by the same struct tags; checks.go says what
// each kind of value must be. Since the library keeps positions to itself, a
// scanner (position) notes the line of every key and array element.
//
// Load is linear in the size of the repo. Resolve looks at one machine, its
// profiles, images and hooks, and reads no file but those its hooks name.
//
// # Not here
//
// spec reads nothing but the given file system: no network, no environment,
// no clock. Whether a reference exists in its registry, or an absolute path
// on the machine, is for others to find out.
package spec

import (
	"embed"
	"io/fs"
)

//go:embed starter
var starter embed.FS

// Starter returns a small commented config repo that is valid as it is.
func Starter() fs.FS {
	fsys, err := fs.Sub(starter, "starter")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return fsys
}
