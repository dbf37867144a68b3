// Package wanted reads what the config repo wants of this machine now: its
// newest trusted revision, fetched and verified, and what that declares.
package wanted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/source/transport"
	"github.com/gitboot/gitboot/spec"
)

// worktreeRevision stands where a commit's hash would, for files as they lie
// in a folder.
const worktreeRevision = "worktree"

// A Repo is a config repo, as one machine follows it.
type Repo struct {
	Source source.Options
	// Name is what the repo must call itself, "" = anything.
	Name string
	// Worktree reads the repo's folder as it lies there, committed or not.
	Worktree bool
	// Subdir is the folder of gitboot.toml in the repo, empty for its root.
	Subdir string
	// Machine is the name in the repo, MachineFrom where it came from, for
	// messages; MachineID is the running system's, empty if unknown.
	Machine, MachineFrom, MachineID string
	// OrImage lets Machine be an image's name, where it is no machine's.
	OrImage bool
	// Quiet says no more of a revision that was applied already: a poll has
	// said it once.
	Quiet bool
	// Known, if set, is what was read before: of the same revision nothing is read
	// anew, whether it was good or is refused.
	Known *Wanted
	// Memory is the file in which Remember keeps what is wanted, "" if nothing is kept.
	Memory string
	// Approvers are patterns of tags of which it is known already that they may have
	// to approve of the revision.
	Approvers []string
	Log       *slog.Logger
	Now       func() time.Time
}

// Wanted is what one revision wants. Nothing changes it.
type Wanted struct {
	Revision source.Revision
	// Wants are the machine's, Files the revision's.
	Wants *spec.Wants
	Files fs.FS
	// Answers are what several remotes said when they were last compared, at
	// Compared, or since; none if there is one.
	Answers  []source.Answer
	Compared time.Time
	// Approvals are what tags say of the revision, by their patterns.
	Approvals map[string]plan.Consent
	// refused is why the revision is not followed, which does not change.
	refused error
	// known is what the wants follow from, and memory the file for them, "" if they
	// are in it.
	known  basis
	memory string
}

// compareEvery is how often all remotes are asked, where one would do.
const compareEvery = 15 * time.Minute

// Same reports whether another revision changes nothing for this machine, as far
// as its config repo's declarations go.
func (w *Wanted) Same(other *Wanted) bool { return reflect.DeepEqual(w.Wants, other.Wants) }

// Read fetches the newest revision, which must descend from the applied one, and
// resolves what it wants. Of what failed the result has at least the revision,
// if one was fetched; it is never nil.
func (r *Repo) Read(ctx context.Context, applied string) (*Wanted, error) {
	w := &Wanted{}
	src, err := r.fetch(ctx, applied, w)
	if err == nil {
		err = r.understand(ctx, w)
	}
	if err == nil && src != nil {
		err = r.hear(ctx, src, w)
	}
	return w, err
}

// understand resolves what a revision wants, unless that is known.
func (r *Repo) understand(ctx context.Context, w *Wanted) (err error) {
	if r.Known != nil && r.Known.Revision.Hash == w.Revision.Hash && !r.Worktree {
		w.Wants, w.refused = r.Known.Wants, r.Known.refused
		return w.refused
	}
	if !r.Worktree {
		if w.Wants = r.recall(w.Revision.Hash); w.Wants != nil {
			return nil
		}
		w.known, w.memory = r.basis(w.Revision.Hash), r.Memory
	}
	if w.Wants, err = r.resolve(ctx, w.Files); final(err) {
		w.refused = err
	}
	return err
}

// final reports whether an error is one that the same revision has each time.
func final(err error) bool {
	return errors.As(err, new(spec.Problems)) || errors.As(err, new(*RepoNameError)) || errors.As(err, new(*MachineError)) || errors.As(err, new(*WrongMachineError))
}

// fetch finds the revision to apply and its files. The source is nil for a folder's
// files as they lie there.
func (r *Repo) fetch(ctx context.Context, applied string, w *Wanted) (src *source.Source, err error) {
	if r.Worktree {
		w.Revision = source.Revision{Hash: worktreeRevision, Time: r.Now().UTC()}
		w.Files, err = source.Worktree(r.Source, r.Subdir)
		return nil, err
	}
	known, now := r.Known, r.Now()
	compare := known == nil || now.Sub(known.Compared).Abs() >= compareEvery
	from := r.Source
	from.ApproveTags = r.approvers(known)
	found, err := source.First(ctx, from, applied, compare)
	w.Answers, w.Compared = found.Answers, now
	if err == nil && !compare {
		w.carry(known)
	}
	r.tellAnswers(w)
	if err != nil {
		return nil, err
	}
	w.Revision = found.Revision
	r.tellUncommitted(ctx, found.Source, w.Revision.Hash, applied)
	w.Files, err = found.Source.Files(w.Revision.Hash, r.Subdir)
	return found.Source, err
}

// carry keeps what is known of remotes that were not asked this time.
func (w *Wanted) carry(known *Wanted) {
	w.Compared = known.Compared
	for _, a := range known.Answers {
		if !slices.ContainsFunc(w.Answers, func(now source.Answer) bool { return now.URL == a.URL }) {
			w.Answers = append(w.Answers, a)
		}
	}
}

// tellAnswers says which of several remotes differ, once.
func (r *Repo) tellAnswers(w *Wanted) {
	told := map[string]bool{}
	if r.Known != nil {
		for _, a := range r.Known.Answers {
			told[a.String()] = true
		}
	}
	for _, a := range w.Answers {
		if a.Differs() && !told[a.String()] {
			r.Log.Warn("the remotes of the config repo do not agree: " + a.String())
		}
	}
}

// resolve reads the machine's wants, and makes sure that they are meant for
// this machine, by the config repo that it follows.
func (r *Repo) resolve(ctx context.Context, files fs.FS) (*spec.Wants, error) {
	fleet, err := spec.Load(ctx, files)
	if err != nil {
		return nil, err
	}
	if name := fleet.Repo(); r.Name != "" && name != r.Name {
		return nil, &RepoNameError{Want: r.Name, Have: name}
	}
	wants, err := fleet.Resolve(ctx, r.Machine)
	unknown := (*spec.UnknownMachineError)(nil)
	if errors.As(err, &unknown) && r.OrImage {
		wants, err = fleet.ResolveImage(ctx, r.Machine)
	}
	if errors.As(err, &unknown) {
		return nil, &MachineError{Name: r.Machine, From: r.MachineFrom, Known: unknown.Known}
	}
	if err != nil {
		return nil, err
	}
	if wants.MachineID != "" && wants.MachineID != r.MachineID {
		return nil, &WrongMachineError{Machine: r.Machine, Want: wants.MachineID, Have: r.MachineID}
	}
	return wants, nil
}

// Foreign returns an image that the config repo does not declare, by its reference,
// as the machine would boot it.
func (r *Repo) Foreign(ctx context.Context, w *Wanted, ref string) (spec.Image, error) {
	fleet, err := spec.Load(ctx, w.Files)
	if err != nil {
		return spec.Image{}, err
	}
	return fleet.Foreign(ctx, w.Wants.Machine, ref)
}

// tellUncommitted says that a local repo's edits are not read, to who may
// have expected it.
func (r *Repo) tellUncommitted(ctx context.Context, src *source.Source, revision, applied string) {
	if r.Quiet && revision == applied {
		return
	}
	n, err := src.Uncommitted(ctx, revision)
	if err != nil {
		r.Log.Debug("uncommitted edits were not looked for", "repo", r.Source.URL, "reason", err)
	}
	if n > 0 {
		r.Log.Warn(fmt.Sprintf("%s of the config repo differ from commit %s, which is what counts: commit them, or look at them with gitboot plan --worktree", files(n), plan.Short(revision)), "repo", r.Source.URL)
	}
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

// Folder is where the repo lies on this machine, "" if it is a server's.
func (r *Repo) Folder() string {
	at, err := transport.ParseAddress(r.Source.URL)
	if err != nil || at.By != transport.ByPath {
		return ""
	}
	return at.Path
}

// Machines returns the names of the machines that the config repo had at a
// revision, out of its clone.
func Machines(ctx context.Context, clone, subdir, revision string) ([]string, error) {
	src, err := source.Open(ctx, source.Options{URL: clone, Dir: clone})
	if err != nil {
		return nil, err
	}
	files, err := src.Files(revision, subdir)
	if err != nil {
		return nil, err
	}
	fleet, err := spec.Load(ctx, files)
	if err != nil {
		return nil, err
	}
	return fleet.Machines(), nil
}
