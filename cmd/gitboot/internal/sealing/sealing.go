// Package sealing holds the commands about the secrets of a config repo: they
// encrypt, show and change them in its work tree, and tell a machine's key.
package sealing

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/secret/worktree"
	"github.com/gitboot/gitboot/spec"
)

// A Site is what the commands are given of gitboot's other flags.
type Site struct {
	// Config is this machine's configuration, of which the commands need its
	// name and where its keys lie.
	Config func(*cobra.Command) (reconciler.Config, error)
	// Create opens the stage, and makes it where there is none.
	Create func(*cobra.Command) (*reconciler.Reconciler, error)
	// Wait is set when another's lock is waited for.
	Wait *bool
	// Repo and Path are those of the flags: a folder, and where gitboot.toml is
	// in it.
	Repo, Path *string
}

// New returns the commands.
func New(s Site) *cobra.Command {
	return usage.Group("secret", "Encrypt, show and change the config repo's secrets",
		newList(s), newEncrypt(s), newEdit(s), newDecrypt(s), newRekey(s), newKey(s))
}

// open reads the config repo: that of --repo, else the one that the current
// folder is part of.
func (s Site) open(c *cobra.Command) (*worktree.Tree, error) {
	dir, err := s.dir()
	if err != nil {
		return nil, &usage.Error{Err: err}
	}
	t, err := worktree.Open(c.Context(), dir)
	if err != nil {
		return nil, &usage.Error{Err: err}
	}
	return t, nil
}

func (s Site) dir() (string, error) {
	if *s.Repo != "" {
		dir := filepath.Join(*s.Repo, *s.Path)
		if _, err := os.Stat(dir); err != nil {
			return "", fmt.Errorf("--repo %s: %w; secrets are changed in a work tree on this machine, and then committed", *s.Repo, err)
		}
		return dir, nil
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, spec.RootFile)); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("there is no %s in %s or above: go to the config repo's folder, or name it with --repo", spec.RootFile, here)
		}
	}
}

// found is a secret that a command names.
func (s Site) found(c *cobra.Command, name string) (*worktree.Tree, spec.Secret, error) {
	t, err := s.open(c)
	if err != nil {
		return nil, spec.Secret{}, err
	}
	found, err := t.Find(name)
	if err != nil {
		return nil, spec.Secret{}, &usage.Error{Err: err}
	}
	return t, found[0], nil
}

// names completes names of secrets.
func (s Site) names(many bool) cobra.CompletionFunc {
	return func(c *cobra.Command, given []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
		t, err := s.open(c)
		if err != nil || len(given) > 0 && !many {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer t.Close()
		for _, secret := range t.Secrets() {
			names = append(names, secret.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
