package source

import (
	"fmt"
	"strings"
	"time"

	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// What may be wrong with the way to a repo, and with what is followed there.
type (
	EmptyError       = ref.EmptyError
	NoRefError       = ref.NoneError
	AmbiguousError   = ref.AmbiguousError
	AuthError        = transport.AuthError
	HostKeyError     = transport.HostKeyError
	UnreachableError = transport.UnreachableError
	NoGitServerError = transport.NoGitServerError
)

// A FormError says that a commit is not of the form in which git writes them.
type FormError = commit.FormError

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

// A PartialError says that a local repo lacks some of its history's objects.
type PartialError struct {
	Dir string
	Err error
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("reading %s: it is a partial clone, and %v; bring what it lacks with git -C %s fetch --refetch --no-filter, or name the repo that it was cloned from", e.Dir, e.Err, e.Dir)
}

func (e *PartialError) Unwrap() error { return e.Err }

// A RewrittenError says that what is followed no longer holds a commit that it
// held: its history was rewritten, an older tip is served, or it is another repo.
type RewrittenError struct {
	URL     string
	Ref     string // what is followed, in full
	Known   string // the commit
	Applied bool   // it was applied; else it was fetched
	Tip     string
	// Why is, of a tag, why its version does not count, "" else.
	Why string
}

func (e *RewrittenError) Error() string {
	what, of := "fetched", "branch"
	if e.Applied {
		what = "applied"
	}
	if tag, ok := strings.CutPrefix(e.Ref, "refs/tags/"); ok {
		of = fmt.Sprintf("tag %q", tag)
	}
	why := ""
	if e.Why != "" {
		why = " (" + e.Why + ")"
	}
	return fmt.Sprintf("following %s: the %s commit %s is not part of the %s any more%s, its history was rewritten up to %s, or this is another repo or an older state of it; if that was meant, run again with --accept-rewrite %s",
		e.URL, what, e.Known, of, why, e.Tip, e.Tip)
}

// An OlderError says that the branch does not hold the least revision that
// this machine takes.
type OlderError struct{ URL, Least, Tip string }

func (e *OlderError) Error() string {
	return fmt.Sprintf("following %s: its tip %s does not have min_revision %s of agent.toml in its history: an older state or another repo is served; if that was meant, name a commit of that history in agent.toml",
		e.URL, e.Tip, e.Least)
}

// An UntrustedError says that a commit lacks a signature by a trusted key.
type UntrustedError struct {
	Hash, Reason, TrustedKeys string
	// Since is the commit after which all have to be signed, "" if only the tip
	// has to be.
	Since string
}

func (e *UntrustedError) Error() string {
	if e.Since != "" {
		return fmt.Sprintf("verifying commit %s, one of those since %s, which all have to be signed (signed = \"every\"): %s; make them anew with git rebase --force-rebase --rebase-merges -S %s, by a key listed in %s, and push again",
			e.Hash, e.Since, e.Reason, e.Since, e.TrustedKeys)
	}
	return fmt.Sprintf("verifying commit %s: %s; sign it with a key listed in %s (git commit -S with gpg.format=ssh or openpgp) and push again",
		e.Hash, e.Reason, e.TrustedKeys)
}
