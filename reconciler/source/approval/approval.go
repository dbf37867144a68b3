// Package approval says whether a commit is approved of by a tag: an annotated one of
// that very commit, which a trusted key has signed, and which is called as it calls
// itself. What a server says of a tag counts only as far as the tag bears it out.
package approval

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/trust"
)

// MaxTags is how many tags of one commit are looked at, by their names.
const MaxTags = 16

// A Verdict is what the tags of a pattern say of a commit.
type Verdict struct {
	// Tag is the one that approves, "" if none does; Who made it, and When.
	Tag, Who string
	When     time.Time
	// Against is why the others do not, a line for each.
	Against []string
}

// A Case is a commit, and what is known of its tags.
type Case struct {
	Of plumbing.Hash
	// Tags are those that the repo has of it.
	Tags []ref.Chosen
	Kept Kept
	// Lacking says why tags could not be fetched that are not kept.
	Lacking map[plumbing.Hash]error
	// Keys are those that are trusted. Doubt is why nothing can be said.
	Keys  *trust.Keys
	Doubt error
}

// Judge says what the tags of a pattern say. It takes the first that approves.
func (c *Case) Judge(pattern string) (v Verdict) {
	if c.Doubt != nil {
		v.Against = []string{c.Doubt.Error()}
		return v
	}
	var named []ref.Chosen
	for _, t := range c.Tags {
		if ref.IsTag(t.Name, []string{pattern}) {
			named = append(named, t)
		}
	}
	for _, t := range named[:min(len(named), MaxTags)] {
		tag, err := c.approves(t)
		if err == nil {
			return Verdict{Tag: short(t.Short()), Who: short(tag.Tagger.Name), When: tag.Tagger.When}
		}
		v.Against = append(v.Against, fmt.Sprintf("tag %s: %s", short(t.Short()), plain.Line(err.Error())))
	}
	if len(named) > MaxTags {
		v.Against = append(v.Against, fmt.Sprintf("of %d tags of this name the first %d were looked at; remove those that are not needed", len(named), MaxTags))
	}
	v.Against = append(v.Against, c.gone(pattern)...)
	return v
}

// approves says why a tag does not.
func (c *Case) approves(t ref.Chosen) (*commit.Tag, error) {
	if !t.Tag() {
		return nil, errors.New("it is not annotated; make it with git tag --sign")
	}
	raw, err := c.Kept.Read(t.Object)
	if err != nil {
		if why := c.Lacking[t.Object]; why != nil {
			err = why
		}
		return nil, err
	}
	tag, err := commit.ParseTag(raw)
	if err != nil {
		return nil, err
	}
	if tag.Commit != c.Of {
		return nil, fmt.Errorf("it is of commit %.12s, though the repo names it as one of this", tag.Commit)
	}
	return tag, c.Keys.Tag(tag, t.Name)
}

// gone tells of tags that would approve and are not the repo's any more.
func (c *Case) gone(pattern string) (lines []string) {
	for _, raw := range c.Kept.all() {
		tag, err := commit.ParseTag(raw)
		if err != nil || tag.Commit != c.Of || slices.ContainsFunc(c.Tags, func(t ref.Chosen) bool { return t.Object == tag.Hash }) {
			continue
		}
		name := "refs/tags/" + tag.Name
		if ref.IsTag(name, []string{pattern}) && c.Keys.Tag(tag, name) == nil {
			lines = append(lines, fmt.Sprintf("tag %s, which approved of it, was moved or removed", short(tag.Name)))
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// short is a stranger's word, fit to be shown in a line among others.
func short(s string) string { return fmt.Sprintf("%.100s", plain.Line(s)) }
