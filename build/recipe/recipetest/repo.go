// Package recipetest has what tests of recipes share, of those who render them
// and those who execute them.
package recipetest

import (
	"strings"
	"testing/fstest"
)

// Repo is a config repo of regular files; those whose content begins with #!
// are executable.
func Repo(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, content := range files {
		f := &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		if strings.HasPrefix(content, "#!") {
			f.Mode = 0o755
		}
		out[name] = f
	}
	return out
}
