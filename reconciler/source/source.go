package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/internal/proxy"
	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/tagged"
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
	// Mirrors are others of the same repo, which First asks in their order.
	Mirrors []string
	// Ref is what to follow: a branch or a tag, by its name or in full, or a
	// constraint on tags that are versions; "" = what the remote's HEAD names.
	Ref string
	// Beside is a ref, in full, that is only asked for: a Revision says what it
	// names. "" = none.
	Beside string
	// Dir is the bare clone; it is made by the first Fetch.
	Dir string
	// TokenFile holds an access token for https; surrounding space is cut.
	// The user name is the URL's (https://user@host/…), else "git".
	TokenFile string
	// TokenFiles are those of servers that TokenFile is not for, by Host.
	TokenFiles map[string]string
	// PushTokenFile and PushSSHKeyFile are what may push, "" if those may that read.
	PushTokenFile, PushSSHKeyFile string
	// SSHKeyFile and KnownHostsFile are required for ssh.
	SSHKeyFile, KnownHostsFile string
	// CAFile holds PEM certificates trusted for https besides the system's.
	CAFile string
	// Proxy is the one through which servers are reached.
	Proxy proxy.Settings
	// Sessions, if set, keeps TLS sessions from one look to the next.
	Sessions tls.ClientSessionCache
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
	// TrustedKeys is a file of keys, as package trust reads it; "" = unsigned
	// commits are accepted. Of a tip, it or its tag has to be signed; with Every,
	// so has each commit since the last one that was taken.
	TrustedKeys string
	Every       bool
	// ApproveKeys is a file of keys, whose tags approve of commits; "" = TrustedKeys.
	// ApproveTags are patterns of the tags that Approvals will be asked for.
	ApproveKeys string
	ApproveTags []string
	// Submodules reads what the repo's submodules hold, too, if they are at the
	// repo's own host, or at one of SubmoduleHosts. They are cloned below Dir.
	Submodules     bool
	SubmoduleHosts []string
	Log            *slog.Logger
	Progress       progress.Sink
	// module is the commit of a submodule, and depth below how many repos.
	module plumbing.Hash
	depth  int
}

// A Source follows one ref of one repo. It is used by one goroutine at a
// time; the file systems that it hands out may be used by several. Open one
// for each run, as another process may have joined the clone's packs.
type Source struct {
	judge
	remote  remote
	longest time.Duration   // that one conversation may take
	said    []plumbing.Hash // by the remote, of what it lacks the parents of
	good    plumbing.Hash   // the commit that was verified last
	tags    []ref.Chosen    // that it has, of those that opts.ApproveTags means
	alone   bool            // no remote is there to be asked
	applied plumbing.Hash   // what the caller acted upon last
}

// A Revision describes a commit.
type Revision struct {
	Hash    string
	Time    time.Time // when it was committed, in UTC
	Subject string    // first line of the message, without control characters
	Author  string    // the author's name, without control characters
	// Tag is by which tag it is followed, "" if by none.
	Tag string
	// Beside is what Options.Beside names, "" if there is no such ref.
	Beside string
}

// Open checks the options and the clone, which it heals if a fetch was cut
// short. A sound clone is not written to, and the network is not used.
func Open(ctx context.Context, opts Options) (*Source, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	want, err := ref.Parse(opts.Ref)
	if err != nil {
		return nil, &OptionError{fmt.Errorf("following ref %w", err)}
	}
	if !opts.module.IsZero() {
		want = ref.Commit(opts.module)
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
	return &Source{judge: judge{opts, want, c}, remote: r, longest: maxTalk}, nil
}

// Remote asks which commit is to be followed now. Nothing is written.
func (s *Source) Remote(ctx context.Context) (string, error) {
	var found ref.Chosen
	err := s.converse(ctx, func(ctx context.Context, allowed *transport.Silence) error {
		sess, err := s.remote.open(ctx, allowed)
		if err != nil {
			return err
		}
		defer sess.Close()
		found, err = sess.choose(s.want)
		return err
	})
	if err != nil {
		return "", err
	}
	return found.Commit.String(), nil
}

// Fetch brings what is followed into the clone, if it is not there, and
// checks it: complete, signed by a trusted key where keys are given, and a
// successor of applied, the last applied revision ("" = none), and of what the
// clone knows. A tip that fails is a *RewrittenError, *OlderError,
// *FormError or *UntrustedError, and is not used.
func (s *Source) Fetch(ctx context.Context, applied string) (Revision, error) {
	if applied != "" && !plumbing.IsHash(applied) {
		return Revision{}, fmt.Errorf("following %s: the applied revision %q is not a commit hash", s.opts.URL, applied)
	}
	found, err := s.obtain(ctx, applied)
	if err != nil {
		return Revision{}, err
	}
	modules, err := s.bringModules(ctx, found.Commit)
	if err != nil {
		return Revision{}, err
	}
	s.good, s.tags, s.applied = found.Commit, found.tags, plumbing.NewHash(applied)
	if s.opts.Look {
		err = s.tidy(ctx, found)
	} else {
		err = errors.Join(s.collect(ctx, found.Commit, modules), s.keep(ctx, found))
	}
	if err != nil {
		return Revision{}, fmt.Errorf("recording %s in %s: %w", found.Commit, s.opts.Dir, err)
	}
	rev, err := s.Revision(ctx, found.Commit.String())
	rev.Tag = transport.Printable(tagName(found.Name))
	if !found.beside.IsZero() {
		rev.Beside = found.beside.String()
	}
	return rev, err
}

// Commit finds a commit by its hash, or the beginning of it, in the history of what
// was followed last: the nearest, "" if there is none.
func (s *Source) Commit(ctx context.Context, hash string) (string, error) {
	head := s.clone.Head()
	if head.IsZero() {
		return "", nil
	}
	for at, err := range s.clone.History(ctx, head, nil) {
		if err != nil {
			return "", fmt.Errorf("looking for commit %.40q in %s: %w", hash, s.opts.Dir, err)
		}
		if strings.HasPrefix(at.Commit.String(), hash) {
			return at.Commit.String(), nil
		}
	}
	return "", nil
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
// all). Where trusted keys are given, the commit is verified first, unless Fetch
// did it.
func (s *Source) Files(hash, subdir string) (fs.FS, error) {
	c, err := s.commit(hash)
	if err != nil {
		return nil, err
	}
	if c.Hash != s.good {
		if err := s.verify(c); err != nil {
			return nil, err
		}
	}
	modules, err := s.modules(context.Background(), c, false)
	if err != nil {
		return nil, err
	}
	files, err := s.clone.Files(c, subdir, modules.commits)
	if err != nil {
		return nil, &FolderError{Folder: files.Subdir(), Commit: c.Hash.String(), Err: err}
	}
	return files, nil
}

// keep records what was admitted, and keeps the packs few.
func (s *Source) keep(ctx context.Context, found candidate) error {
	if tagName(found.Name) != "" && (s.opts.TrustedKeys == "" || found.signed) {
		if err := s.opts.memory().keep(found.Chosen); err != nil {
			return err
		}
	}
	followed, err := found.onward(s.clone)
	if err != nil {
		return err
	}
	if err := tell(ctx, s, found.Commit, followed, nil); err != nil {
		return err
	}
	if err := s.moveHead(ctx, found.Commit); err != nil {
		return err
	}
	if s.opts.MinRevision == "" {
		return nil
	}
	return s.opts.proof(found.Commit).keep()
}

// tell keeps tags of a commit for who follows the clone, in place of those that are stale.
func tell(ctx context.Context, s *Source, of plumbing.Hash, tags []tagged.Tag, stale func(name string) bool) error {
	kept := tagged.Of(s.opts.Dir, of)
	now, changed := kept.With(tags, stale)
	if !changed {
		return nil
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return kept.Put(now, s.clone.Head(), s.applied)
}

func (s *Source) moveHead(ctx context.Context, tip plumbing.Hash) error {
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
	return s.clone.Compact(ctx, s.opts.memory().root(tip))
}

// tidy keeps the packs few where nothing is recorded of what was found.
func (s *Source) tidy(ctx context.Context, found candidate) error {
	if found.in == nil {
		return nil // nothing was fetched
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	roots := []clone.Root{rootOf(found.Chosen)}
	if tip := s.clone.Head(); !tip.IsZero() {
		roots = append(roots, s.opts.memory().root(tip))
	}
	return s.clone.Compact(ctx, roots...)
}

func (j *judge) commit(hash string) (*commit.Commit, error) { return j.opts.commitAt(j.clone, hash) }

func (o Options) commitAt(at *clone.Clone, hash string) (*commit.Commit, error) {
	if !plumbing.IsHash(hash) {
		return nil, fmt.Errorf("reading revision %q: not a full commit hash", hash)
	}
	c, err := at.Commit(plumbing.NewHash(hash))
	if form := (*FormError)(nil); errors.As(err, &form) {
		return nil, err
	}
	if durable.OfMachine(err) {
		return nil, fmt.Errorf("reading revision %s from %s: %w", hash, o.Dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading revision %s from %s: %w; if it was fetched before, remove that folder and fetch again", hash, o.Dir, err)
	}
	return c, nil
}
