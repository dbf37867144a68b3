package source

import (
	"os"
	"path/filepath"
	"testing"
)

// hostileEnv sets what git obeys to nonsense. Every program in it would leave
// a file behind.
func hostileEnv(t *testing.T) (ran string) {
	t.Helper()
	dir := t.TempDir()
	ran = filepath.Join(dir, "ran")
	script := filepath.Join(dir, "program")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch "+ran+"\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "gitconfig")
	writeFile(t, config, "[url \"https://127.0.0.1:1/\"]\n\tinsteadOf = /\n[core]\n\tsshCommand = "+script+"\n[fetch]\n\tprune = nonsense\n")
	for name, value := range map[string]string{
		"GIT_DIR": "/nonexistent", "GIT_WORK_TREE": "/nonexistent", "GIT_INDEX_FILE": "/nonexistent",
		"GIT_OBJECT_DIRECTORY": "/nonexistent", "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nonexistent",
		"GIT_COMMON_DIR": "/nonexistent", "GIT_NAMESPACE": "nonsense", "GIT_CEILING_DIRECTORIES": "/",
		"GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_SYSTEM": config, "GIT_CONFIG": config,
		"GIT_CONFIG_COUNT": "nonsense", "GIT_CONFIG_PARAMETERS": "nonsense",
		"GIT_SSH": script, "GIT_SSH_COMMAND": script, "GIT_ASKPASS": script, "SSH_ASKPASS": script,
		"GIT_PROXY_COMMAND": script, "GIT_EXTERNAL_DIFF": script, "GIT_EXEC_PATH": dir,
		"GIT_SSL_CAINFO": "/nonexistent", "GIT_PROTOCOL": "version=9", "GIT_DEFAULT_HASH": "sha256",
		"SSH_AUTH_SOCK": "/nonexistent", "XDG_CONFIG_HOME": dir, "HOME": "",
	} {
		t.Setenv(name, value)
	}
	if err := os.Unsetenv("HOME"); err != nil {
		t.Fatal(err)
	}
	return ran
}

func TestEnvironmentIsIgnored(t *testing.T) {
	for name, options := range map[string]func(*testing.T, *repo) Options{
		"path":  func(t *testing.T, r *repo) Options { return r.options() },
		"https": func(t *testing.T, r *repo) Options { return newHTTPSServer(t, r).options(t, r) },
		"ssh": func(t *testing.T, r *repo) Options {
			key, pub := newKey(t, "client")
			return newSSHServer(t, pub).options(t, r, key)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			o := options(t, r)
			ran := hostileEnv(t)
			follow(t, r, o)
			if _, err := os.Stat(ran); err == nil {
				t.Error("a program that the environment names was run")
			}
		})
	}
}

// TestNeedsNoGit follows a local repo where there is no git program.
func TestNeedsNoGit(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1")
	second := r.commit("a", "2")
	t.Setenv("PATH", t.TempDir())
	o := r.options()
	s := open(t, o)
	if rev := s.mustFetch(t, first); rev.Hash != second {
		t.Errorf("Fetch = %s, want %s", rev.Hash, second)
	}
}
