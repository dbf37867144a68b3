package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/internal/proxy"
	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

const (
	defaultTimeout = 2 * time.Minute
	// maxTalk is long enough for 2 GiB at 300 kB/s.
	maxTalk = 2 * time.Hour
)

// Options say which repo to follow, and how.
type Options struct {
	// URL is a path, file://, https://, ssh:// or user@host:path.
	URL string
	// Branch to follow; "" = the one that the remote's HEAD names.
	Branch string
	// Dir is the bare clone; it is made by the first Fetch.
	Dir string
	// TokenFile holds an access token for https; surrounding space is cut.
	// The user name is the URL's (https://user@host/…), else "git".
	TokenFile string
	// SSHKeyFile and KnownHostsFile are required for ssh.
	SSHKeyFile, KnownHostsFile string
	// CAFile holds PEM certificates trusted for https besides the system's.
	CAFile string
	// Proxy is the one through which servers are reached.
	Proxy proxy.Settings
	// AcceptRewrite is the full hash of the one tip at which a rewritten
	// history is accepted.
	AcceptRewrite string
	// MinRevision is the full hash of a commit that every tip must be or have
	// in its history, whatever is known of the repo; "" = none.
	MinRevision string
	// Safe are local repos that are read though another user owns them.
	Safe []string
	// Look fetches without binding later fetches to what was found.
	Look bool
	// Timeout is how long a server may say nothing, and how long another
	// process is waited for; 0 = 2 minutes. How much there is to fetch does
	// not matter.
	Timeout time.Duration
	// TrustedKeys is an allowed_signers file (ssh-keygen(1), ALLOWED
	// SIGNERS); "" = unsigned commits are accepted.
	TrustedKeys string
	Log         *slog.Logger
	Progress    progress.Sink
}

// A Source follows one branch of one repo. It is used by one goroutine at a
// time; the file systems that it hands out may be used by several. Open one
// for each run, as another process may have joined the clone's packs.
type Source struct {
	opts    Options
	remote  remote
	clone   *clone.Clone
	longest time.Duration   // that one conversation may take
	said    []plumbing.Hash // by the remote, of what it lacks the parents of
}

// A Revision describes a commit.
type Revision struct {
	Hash    string
	Time    time.Time // when it was committed, in UTC
	Subject string    // first line of the message, without control characters
	Author  string    // the author's name, without control characters
}

// Open checks the options and the clone, which it heals if a fetch was cut
// short. A sound clone is not written to, and the network is not used.
func Open(ctx context.Context, opts Options) (*Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opts.Branch != "" && plumbing.NewBranchReferenceName(opts.Branch).Validate() != nil {
		return nil, &OptionError{fmt.Errorf("following branch %q: git allows no such name; check the branch", opts.Branch)}
	}
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	r, err := newRemote(opts)
	if err != nil {
		return nil, &OptionError{err}
	}
	c, err := clone.Open(opts.Dir, opts.Log, opts.Progress)
	if err != nil {
		return nil, err
	}
	return &Source{opts: opts, remote: r, clone: c, longest: maxTalk}, nil
}

// Remote asks which commit the branch names now. Nothing is written.
func (s *Source) Remote(ctx context.Context) (string, error) {
	var tip plumbing.Hash
	err := s.converse(ctx, func(ctx context.Context, allowed *transport.Silence) error {
		sess, err := s.remote.open(ctx, allowed)
		if err != nil {
			return err
		}
		defer sess.Close()
		tip, err = sess.Tip(s.opts.Branch)
		return err
	})
	if err != nil {
		return "", err
	}
	return tip.String(), nil
}

// Fetch brings the branch's tip into the clone, if it is not there, and
// checks it: complete, signed by a trusted key where keys are given, and a
// successor of applied, the last applied revision ("" = none), and of what the
// clone knows. A tip that fails is a *RewrittenError, *OlderError,
// *FormError or *UntrustedError, and is not used.
func (s *Source) Fetch(ctx context.Context, applied string) (Revision, error) {
	if applied != "" && !plumbing.IsHash(applied) {
		return Revision{}, fmt.Errorf("following %s: the applied revision %q is not a commit hash", s.opts.URL, applied)
	}
	tip, err := s.obtain(ctx, applied)
	if err != nil {
		return Revision{}, err
	}
	if !s.opts.Look {
		err := s.keep(ctx, tip)
		if err == nil && s.opts.MinRevision != "" {
			err = s.opts.proof(tip).keep()
		}
		if err != nil {
			return Revision{}, fmt.Errorf("recording %s in %s: %w", tip, s.opts.Dir, err)
		}
	}
	return s.Revision(ctx, tip.String())
}

// Revision describes a commit that is in the clone.
func (s *Source) Revision(ctx context.Context, hash string) (Revision, error) {
	if err := ctx.Err(); err != nil {
		return Revision{}, err
	}
	c, err := s.commit(hash)
	if err != nil {
		return Revision{}, err
	}
	subject, _, _ := strings.Cut(strings.TrimLeft(c.Message, "\n"), "\n")
	return Revision{
		Hash:    c.Hash.String(),
		Time:    c.Committer.When,
		Subject: transport.Printable(subject),
		Author:  transport.Printable(c.Author.Name),
	}, nil
}

// Files gives the files of a commit that is in the clone, below subdir ("" =
// all). Where trusted keys are given, the commit is verified first.
func (s *Source) Files(hash, subdir string) (fs.FS, error) {
	c, err := s.commit(hash)
	if err != nil {
		return nil, err
	}
	if err := s.verify(c); err != nil {
		return nil, err
	}
	files, err := s.clone.Files(c, subdir)
	if err != nil {
		return nil, &FolderError{Folder: files.Subdir(), Commit: c.Hash.String(), Err: err}
	}
	return files, nil
}

// admit decides whether the tip may be used.
func (s *Source) admit(ctx context.Context, found candidate, applied string) error {
	c, err := s.commitAt(found.at, found.tip.String())
	if err != nil {
		return err
	}
	if err := s.verify(c); err != nil {
		return err
	}
	if found.tip != s.clone.Head() {
		if err := found.at.Complete(ctx, found.tip); err != nil {
			return fmt.Errorf("checking commit %s of %s: %w; check the repo with git fsck", found.tip, s.opts.URL, err)
		}
	}
	return s.follows(ctx, found, applied)
}

// follows decides whether the tip comes after all that is known. MinRevision
// knows it when both the caller and the clone have lost what they knew.
func (s *Source) follows(ctx context.Context, found candidate, applied string) error {
	tip := found.tip
	if least := s.opts.MinRevision; least != "" && !s.opts.proof(tip).found() {
		switch in, err := s.inHistory(ctx, least, found); {
		case err != nil:
			return err
		case !in:
			return &OlderError{URL: s.opts.URL, Least: least, Tip: tip.String()}
		}
	}
	if s.opts.AcceptRewrite == tip.String() {
		return nil
	}
	for _, h := range s.known(applied) {
		switch in, err := s.inHistory(ctx, h, found); {
		case err != nil:
			return err
		case !in:
			return &RewrittenError{URL: s.opts.URL, Known: h, Applied: h == applied, Tip: tip.String()}
		}
	}
	return nil
}

// known lists the commits that a tip must come after: what was applied, and the
// clone's HEAD, if the caller has lost that. Where keys are trusted, HEAD counts
// in any case: who serves the repo can serve an older signed tip, but make none.
// Where none are, a tip that was never applied may be taken back.
func (s *Source) known(applied string) []string {
	known := []string{applied}
	if head := s.clone.Head(); !head.IsZero() && (applied == "" || s.opts.TrustedKeys != "") {
		known = append(known, head.String())
	}
	return known
}

// inHistory reports whether a commit ("" = any) is the tip or an ancestor.
func (s *Source) inHistory(ctx context.Context, hash string, found candidate) (bool, error) {
	if hash == "" {
		return true, nil
	}
	in, err := found.at.IsAncestor(ctx, plumbing.NewHash(hash), found.tip)
	if err != nil {
		return false, fmt.Errorf("comparing commits %s and %s: %w", hash, found.tip, err)
	}
	return in, nil
}

// keep records the tip as the clone's HEAD and keeps the packs few.
func (s *Source) keep(ctx context.Context, tip plumbing.Hash) error {
	if tip == s.clone.Head() {
		return nil
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.clone.Ensure(); err != nil {
		return err
	}
	if err := fault.Point("source.commit.admitted"); err != nil {
		return err
	}
	if err := s.clone.SetHead(tip); err != nil {
		return err
	}
	if err := fault.Point("source.head.moved"); err != nil {
		return err
	}
	err = s.clone.Compact(ctx)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		s.opts.Log.Warn("the clone lacks a part of the history, which the next fetch brings", "dir", s.opts.Dir, "reason", err)
		return nil
	}
	return err
}

func (s *Source) commit(hash string) (*commit.Commit, error) { return s.commitAt(s.clone, hash) }

func (s *Source) commitAt(at *clone.Clone, hash string) (*commit.Commit, error) {
	if !plumbing.IsHash(hash) {
		return nil, fmt.Errorf("reading revision %q: not a full commit hash", hash)
	}
	c, err := at.Commit(plumbing.NewHash(hash))
	if form := (*FormError)(nil); errors.As(err, &form) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("reading revision %s from %s: %w; if it was fetched before, remove that folder and fetch again", hash, s.opts.Dir, err)
	}
	return c, nil
}
