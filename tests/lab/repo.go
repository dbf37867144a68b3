package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Repo is a git repository with a work tree. Its commits have a fixed author
// and dates, so that equal content gives equal hashes.
type Repo struct {
	// Dir is the work tree.
	Dir string

	commits int
}

// NewRepo makes an empty repository with the branch main.
func NewRepo(ctx context.Context, dir string) (*Repo, error) {
	r := &Repo{Dir: dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	_, err := r.Git(ctx, "init", "--quiet", "--initial-branch=main")
	return r, err
}

// CopyDir copies a folder into the work tree.
func (r *Repo) CopyDir(from string) error {
	return os.CopyFS(r.Dir, os.DirFS(from))
}

// Write puts a file into the work tree.
func (r *Repo) Write(name, content string) error {
	path := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}

// Replace changes every occurrence of old in a file of the work tree; that
// there is none is an error.
func (r *Repo) Replace(name, old, replacement string) error {
	data, err := os.ReadFile(filepath.Join(r.Dir, name))
	if err != nil {
		return err
	}
	if !strings.Contains(string(data), old) {
		return fmt.Errorf("%s does not contain %q", name, old)
	}
	return r.Write(name, strings.ReplaceAll(string(data), old, replacement))
}

// Commit commits the whole work tree and returns the commit's hash.
func (r *Repo) Commit(ctx context.Context, message string) (string, error) {
	r.commits++
	if _, err := r.Git(ctx, "add", "--all"); err != nil {
		return "", err
	}
	if _, err := r.Git(ctx, "commit", "--quiet", "--message="+message); err != nil {
		return "", err
	}
	out, err := r.Git(ctx, "rev-parse", "HEAD")
	return strings.TrimSpace(out), err
}

// Git runs git in the work tree, free of this computer's configuration.
func (r *Repo) Git(ctx context.Context, args ...string) (string, error) {
	date := time.Date(2026, 1, 1, 12, r.commits, 0, 0, time.UTC).Format(time.RFC3339)
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com", "GIT_COMMITTER_DATE=" + date,
	}
	return runEnv(ctx, env, "git", append([]string{"-C", r.Dir}, args...)...)
}
