package source

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/trust"
)

// A judge decides whether what was found may be used.
type judge struct {
	opts  Options
	want  ref.Want
	clone *clone.Clone
}

// tip looks at a tip by its content alone, before what it names is read. A
// tag's commit is looked at later: either may be signed.
func (j *judge) tip(found candidate, raw []byte) error {
	if found.Tag() {
		tag, err := commit.ParseTag(raw)
		if err != nil {
			return &FormError{Hash: found.Object.String(), Tag: true, Reason: err.Error()}
		}
		return j.isOf(found, tag)
	}
	c, err := commit.Parse(raw)
	if err != nil {
		return &FormError{Hash: found.Commit.String(), Reason: err.Error()}
	}
	return j.verify(c)
}

// isOf compares what the remote says of a tag with what the tag says.
func (j *judge) isOf(found candidate, tag *commit.Tag) error {
	if tag.Commit == found.Commit {
		return nil
	}
	return fmt.Errorf("reading tag %s of %s: it is of commit %s, and the server says of %s", found.Object, j.opts.URL, tag.Commit, found.Commit)
}

// vouch verifies what was found: the tag, if it is one, or the commit, has to be
// signed.
func (j *judge) vouch(found *candidate, c *commit.Commit) error {
	var tag *commit.Tag
	if found.Tag() {
		var err error
		if tag, err = found.at.Tag(found.Object); err != nil {
			return err
		}
		if err := j.isOf(*found, tag); err != nil {
			return err
		}
	}
	keys, err := j.keys()
	if keys == nil || err != nil {
		return err
	}
	var unsigned error
	if tag != nil {
		unsigned = keys.Tag(tag, found.Name)
		if found.signed = unsigned == nil; found.signed {
			return nil
		}
	}
	err = keys.Commit(c)
	if err != nil && unsigned != nil {
		err = fmt.Errorf("%w, and of the tag %s: %w", err, found.Object, unsigned)
	}
	return j.untrusted(c.Hash, err)
}

// verify checks a commit's signature, if trusted keys are given. As the
// commit names its whole tree and history, only the one commit is checked.
func (j *judge) verify(c *commit.Commit) error {
	keys, err := j.keys()
	if keys == nil || err != nil {
		return err
	}
	return j.untrusted(c.Hash, keys.Commit(c))
}

// keys are the trusted ones, read anew each time; nil if all are.
func (j *judge) keys() (*trust.Keys, error) {
	if j.opts.TrustedKeys == "" {
		return nil, nil
	}
	return trust.Read(j.opts.TrustedKeys)
}

func (j *judge) untrusted(tip plumbing.Hash, err error) error {
	if err == nil {
		return nil
	}
	return &UntrustedError{Hash: tip.String(), Reason: err.Error(), TrustedKeys: j.opts.TrustedKeys}
}

// admit decides whether what was found may be used.
func (j *judge) admit(ctx context.Context, found *candidate, applied string) error {
	c, err := j.opts.commitAt(found.at, found.Commit.String())
	if err != nil {
		return err
	}
	if err := j.vouch(found, c); err != nil {
		return err
	}
	if found.Commit != j.clone.Head() {
		if err := found.at.Complete(ctx, found.Commit); err != nil {
			return fmt.Errorf("checking commit %s of %s: %w; check the repo with git fsck", found.Commit, j.opts.URL, err)
		}
	}
	if err := j.follows(ctx, *found, applied); err != nil {
		return err
	}
	return j.every(ctx, *found, applied)
}

// follows decides whether the tip comes after all that is known. MinRevision
// knows it when both the caller and the clone have lost what they knew.
func (j *judge) follows(ctx context.Context, found candidate, applied string) error {
	tip := found.Commit
	if least := j.opts.MinRevision; least != "" && !j.opts.proof(tip).found() {
		switch in, err := j.inHistory(ctx, least, found); {
		case err != nil:
			return err
		case !in:
			return &OlderError{URL: j.opts.URL, Least: least, Tip: tip.String()}
		}
	}
	if j.opts.AcceptRewrite == tip.String() {
		return nil
	}
	for _, h := range j.known(applied) {
		in, err := j.inHistory(ctx, h, found)
		if err != nil {
			return err
		}
		if in {
			continue
		}
		if why, higher := j.higher(found, h); !higher {
			return &RewrittenError{URL: j.opts.URL, Ref: found.Name, Known: h, Applied: h == applied, Tip: tip.String(), Why: why}
		}
	}
	return nil
}

// higher reports whether what was found is a higher version than a known commit,
// where versions are followed: one of another branch need not come after it. Who
// serves the repo can call any commit by any version, but sign no tag.
func (j *judge) higher(found candidate, known string) (why string, higher bool) {
	if !j.want.Versions() {
		return "", false
	}
	was := j.opts.memory().nameOf(known)
	switch {
	case j.opts.TrustedKeys != "" && !found.signed:
		return "and its version counts for nothing, as no trusted key has signed the tag", false
	case was == "":
		return "nor is it known which version that was", false
	case !j.want.Higher(found.Name, was):
		return "nor is that a higher version than " + tagName(was), false
	}
	return "", true
}

// known lists the commits that a tip must come after: what was applied, and the
// clone's HEAD, if the caller has lost that. Where keys are trusted, HEAD counts
// in any case: who serves the repo can serve an older signed tip, but make none.
// Where none are, a tip that was never applied may be taken back.
func (j *judge) known(applied string) []string {
	known := []string{applied}
	if head := j.clone.Head(); !head.IsZero() && (applied == "" || j.opts.TrustedKeys != "") {
		known = append(known, head.String())
	}
	return known
}

// inHistory reports whether a commit ("" = any) is the tip or an ancestor.
func (j *judge) inHistory(ctx context.Context, hash string, found candidate) (bool, error) {
	if hash == "" {
		return true, nil
	}
	in, err := found.at.IsAncestor(ctx, plumbing.NewHash(hash), found.Commit)
	if err != nil {
		return false, fmt.Errorf("comparing commits %s and %s: %w", hash, found.Commit, err)
	}
	return in, nil
}
