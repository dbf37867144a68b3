package source

import (
	"fmt"
	"strings"
	"time"
)

// An EmptyError says that the repo has no commit yet.
type EmptyError struct{ URL string }

func (e *EmptyError) Error() string {
	return fmt.Sprintf("reading %s: the repo has no commits; push one (gitboot init writes a config repo to begin with)", e.URL)
}

// A BranchError says that the repo has no such branch.
type BranchError struct {
	URL    string
	Branch string   // "" = the repo's HEAD, which names no branch that exists
	Tag    bool     // there is a tag of this name
	Others []string // the branches there are, sorted
}

func (e *BranchError) Error() string {
	what := fmt.Sprintf("no branch %q", e.Branch)
	switch {
	case e.Branch == "":
		what = "its HEAD names a branch that is not there"
	case e.Tag:
		return fmt.Sprintf("reading %s: %q is a tag, which never moves, and a branch is followed; make one with git branch NAME %s, or choose one of its branches: %s",
			e.URL, e.Branch, e.Branch, some(e.Others))
	}
	return fmt.Sprintf("reading %s: %s; choose one of its branches: %s", e.URL, what, some(e.Others))
}

// some lists names, but not all of a server that has endlessly many.
func some(names []string) string {
	const shown = 50
	if more := len(names) - shown; more > 0 {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:shown], ", "), more)
	}
	return strings.Join(names, ", ")
}

// An AuthError says that the server knows us not, or lets us not read.
type AuthError struct {
	URL  string
	With string // what was shown: "token file /etc/…", "key file /etc/…", or "no token file"
	Err  error
}

func (e *AuthError) Error() string {
	return fmt.Sprintf("reading %s: access refused with %s: %v; name a file that is still valid and may read this repo", e.URL, e.With, e.Err)
}

func (e *AuthError) Unwrap() error { return e.Err }

// A HostKeyError says that an SSH server's key is not the known one.
type HostKeyError struct {
	Host, KnownHostsFile string
	Fingerprint          string // of the key that the server showed
	Line                 string // what known_hosts needs for that key
	Changed              bool   // the file has another key for this host
}

func (e *HostKeyError) Error() string {
	if e.Changed {
		return fmt.Sprintf("connecting to %s: its host key %s is not the one in %s: somebody may be listening in; if the host's owner confirms the new key, replace the host's lines by: %s",
			e.Host, e.Fingerprint, e.KnownHostsFile, e.Line)
	}
	return fmt.Sprintf("connecting to %s: its host key %s is not in %s; if the host's owner confirms it, add the line: %s",
		e.Host, e.Fingerprint, e.KnownHostsFile, e.Line)
}

// An OptionError says that the options cannot be followed as they are.
type OptionError struct{ Err error }

func (e *OptionError) Error() string { return e.Err.Error() }
func (e *OptionError) Unwrap() error { return e.Err }

// A FolderError says that a commit has no such folder.
type FolderError struct {
	Folder, Commit string
	Err            error
}

func (e *FolderError) Error() string {
	return fmt.Sprintf("reading the folder %q of commit %s: %v; name a folder of the repo with --path", e.Folder, e.Commit, e.Err)
}

func (e *FolderError) Unwrap() error { return e.Err }

// An UnreachableError says that the repo could not be read at all.
type UnreachableError struct {
	URL  string
	Path bool // it is a folder of this machine
	Err  error
}

func (e *UnreachableError) Error() string {
	if e.Path {
		return fmt.Sprintf("reading the config repo %s: %v; name the folder of a git repo, or a URL", e.URL, e.Err)
	}
	return fmt.Sprintf("reaching %s: %v; check the address and the network", e.URL, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// An OwnerError says that a local repo belongs to another user.
type OwnerError struct {
	Dir string
	Err error
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("reading the config repo %s: %v; if what boots may be that user's to decide, name the repo in agent.toml: safe = [%q]", e.Dir, e.Err, e.Dir)
}

func (e *OwnerError) Unwrap() error { return e.Err }

// A TimeoutError says that a server said nothing for longer than
// Options.Timeout.
type TimeoutError struct {
	URL   string
	After time.Duration
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("reaching %s: nothing was heard for %v; check the network, or allow more time", e.URL, e.After)
}

// Timeout marks the error as one, as net.Error does.
func (e *TimeoutError) Timeout() bool { return true }

// A NoGitServerError says that another kind of server answers at the address.
type NoGitServerError struct {
	URL  string
	Type string // the answer's media type
}

func (e *NoGitServerError) Error() string {
	if e.Type == "text/html" {
		return fmt.Sprintf("reaching %s: a web page answers there, not a git server; give the address that git clone takes", e.URL)
	}
	return fmt.Sprintf("reaching %s: the server there only hands out a repo's files (git's dumb protocol, %q), which is not supported; serve the repo with git http-backend or over ssh, or copy it with git clone --mirror and name that path",
		e.URL, e.Type)
}

// A PartialError says that a local repo lacks some of its history's objects.
type PartialError struct {
	Dir string
	Err error
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("reading %s: it is a partial clone, and %v; bring what it lacks with git -C %s fetch --refetch --no-filter, or name the repo that it was cloned from", e.Dir, e.Err, e.Dir)
}

func (e *PartialError) Unwrap() error { return e.Err }

// A RewrittenError says that the branch no longer holds a commit that it held:
// its history was rewritten, an older tip is served, or it is another repo.
type RewrittenError struct {
	URL     string
	Known   string // the commit
	Applied bool   // it was applied; else it was fetched
	Tip     string
}

func (e *RewrittenError) Error() string {
	what := "fetched"
	if e.Applied {
		what = "applied"
	}
	return fmt.Sprintf("following %s: the %s commit %s is not part of the branch any more, its history was rewritten up to %s, or this is another repo or an older state of it; if that was meant, run again with --accept-rewrite %s",
		e.URL, what, e.Known, e.Tip, e.Tip)
}

// An OlderError says that the branch does not hold the least revision that
// this machine takes.
type OlderError struct{ URL, Least, Tip string }

func (e *OlderError) Error() string {
	return fmt.Sprintf("following %s: its tip %s does not have min_revision %s of agent.toml in its history: an older state or another repo is served; if that was meant, name a commit of that history in agent.toml",
		e.URL, e.Tip, e.Least)
}

// A FormError says that a commit is not of the form in which git writes them.
type FormError struct{ Hash, Reason string }

func (e *FormError) Error() string {
	return fmt.Sprintf("reading commit %s: %s; git writes no such commit, so find out who pushed it, and make it anew with git commit --amend", e.Hash, e.Reason)
}

// An UntrustedError says that a commit lacks a signature by a trusted key.
type UntrustedError struct {
	Hash, Reason, TrustedKeys string
}

func (e *UntrustedError) Error() string {
	return fmt.Sprintf("verifying commit %s: %s; sign it with a key listed in %s (git commit -S with gpg.format=ssh) and push again",
		e.Hash, e.Reason, e.TrustedKeys)
}

// printable keeps a server's or an author's words from steering a terminal.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "�")))
}
