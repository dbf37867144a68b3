package settings

import (
	"os"
	"path/filepath"
)

// Here finds the git repo that the current folder is part of, and the folder's
// path in it, if the folder holds a gitboot.toml.
func Here() (repo, path string, ok bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", "", false
	}
	if _, err := os.Stat(filepath.Join(dir, "gitboot.toml")); err != nil {
		return "", "", false
	}
	for repo = dir; ; repo = filepath.Dir(repo) {
		if _, err := os.Stat(filepath.Join(repo, ".git")); err == nil {
			path, err = filepath.Rel(repo, dir)
			return repo, path, err == nil
		}
		if repo == filepath.Dir(repo) {
			return "", "", false
		}
	}
}
