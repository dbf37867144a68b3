package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/transport"
)

const (
	// maxAside is how long a remote may say nothing where there is another one.
	maxAside = 20 * time.Second
	// maxCompare is how long those may take that are asked for comparison.
	maxCompare = 10 * time.Second
)

// A Standing is what one of several remotes is to what was taken.
type Standing string

const (
	Taken  Standing = "taken"  // it was fetched from
	Same   Standing = "same"   // it names the same commit
	Behind Standing = "behind" // it names a commit before it
	Other  Standing = "other"  // it names a commit that is not known
	Failed Standing = "failed" // it gave nothing that may be used
)

// An Answer is what one of several remotes said.
type Answer struct {
	URL string
	Standing
	Tip string // the commit that it names, "" if it failed
	Err error
}

// Differs reports whether the remote says otherwise than what was taken.
func (a Answer) Differs() bool { return a.Standing != Taken && a.Standing != Same }

// String is a line for people.
func (a Answer) String() string {
	switch a.Standing {
	case Behind:
		return fmt.Sprintf("%s is behind, at commit %.12s", a.URL, a.Tip)
	case Other:
		return fmt.Sprintf("%s names commit %.12s, which no other remote has named: the others are behind, or it is another repo", a.URL, a.Tip)
	case Failed:
		return a.Err.Error()
	}
	return fmt.Sprintf("%s names commit %.12s", a.URL, a.Tip)
}

// A Found is a revision, and how it was found.
type Found struct {
	Source   *Source
	Revision Revision
	// Answers are those of the remotes that were asked, where there are several.
	Answers []Answer
}

// First fetches from the first remote that has something which may be used, in
// their order; with compare, the others are asked what they have. A remote that
// is behind is passed over; if those are that do not answer, what is known stays.
func First(ctx context.Context, o Options, applied string, compare bool) (f Found, err error) {
	if len(o.Mirrors) == 0 {
		if f.Source, err = Open(ctx, o); err == nil {
			f.Revision, err = f.Source.Fetch(ctx, applied)
		}
		return f, err
	}
	sources, err := openEach(ctx, o)
	if err != nil {
		return f, err
	}
	for i, src := range sources {
		f.Source = src
		if f.Revision, err = src.Fetch(ctx, applied); err == nil {
			f.Answers = append(f.Answers, Answer{URL: src.opts.URL, Standing: Taken, Tip: f.Revision.Hash})
			if compare {
				f.Answers = append(f.Answers, f.compare(ctx, sources[i+1:])...)
			}
			return f, nil
		}
		if ctx.Err() != nil {
			return f, err
		}
		f.Answers = append(f.Answers, src.refused(ctx, err))
	}
	return f.stay(ctx, applied)
}

// openEach opens all remotes. TokenFile is for the server of the first that is
// reached over https, and for no other.
func openEach(ctx context.Context, o Options) ([]*Source, error) {
	var all []*Source
	var trusted *transport.Address
	urls := append([]string{o.URL}, o.Mirrors...)
	for i, url := range urls {
		one := o
		one.URL, one.Mirrors = url, nil
		if at, err := transport.ParseAddress(url); err == nil && at.By == transport.ByHTTPS {
			if trusted == nil {
				trusted = &at
			}
			if at.Host != trusted.Host || at.Port != trusted.Port {
				one.TokenFile = ""
			}
		}
		if i < len(urls)-1 {
			one.Timeout = min(cmp.Or(o.Timeout, defaultTimeout), maxAside)
		}
		src, err := Open(ctx, one)
		if err != nil {
			return nil, err
		}
		all = append(all, src)
	}
	return all, nil
}

// refused says what a remote is that nothing was taken of.
func (s *Source) refused(ctx context.Context, err error) Answer {
	a := Answer{URL: s.opts.URL, Standing: Failed, Err: err}
	var back *RewrittenError
	if !errors.As(err, &back) {
		return a
	}
	a.Tip = back.Tip
	if s.isBehind(ctx, back.Tip, back.Known) {
		a.Standing = Behind
	}
	return a
}

// isBehind reports whether a commit is in the history of another.
func (s *Source) isBehind(ctx context.Context, tip, of string) bool {
	if !s.clone.Has(plumbing.NewHash(tip)) || !s.clone.Has(plumbing.NewHash(of)) {
		return false
	}
	in, err := s.clone.IsAncestor(ctx, plumbing.NewHash(tip), plumbing.NewHash(of))
	return err == nil && in
}

// compare asks remotes what they have, all at once.
func (f Found) compare(ctx context.Context, others []*Source) []Answer {
	ctx, cancel := context.WithTimeout(ctx, maxCompare)
	defer cancel()
	answers := make([]Answer, len(others))
	var all sync.WaitGroup
	for i, other := range others {
		all.Go(func() {
			tip, err := other.Remote(ctx)
			answers[i] = Answer{URL: other.opts.URL, Standing: Same, Tip: tip, Err: err}
		})
	}
	all.Wait()
	for i, a := range answers {
		switch {
		case a.Err != nil:
			answers[i].Standing = Failed
		case a.Tip == f.Revision.Hash:
		case f.Source.isBehind(ctx, a.Tip, f.Revision.Hash):
			answers[i].Standing = Behind
		default:
			answers[i].Standing = Other
		}
	}
	return answers
}

// stay goes on with what is known, where all that answered are behind it and
// others do not answer. If all are behind, the history was taken back.
func (f Found) stay(ctx context.Context, applied string) (Found, error) {
	known := cmp.Or(applied, f.Source.clone.Head().String())
	behind := slices.ContainsFunc(f.Answers, func(a Answer) bool { return a.Standing == Behind })
	silent := slices.ContainsFunc(f.Answers, func(a Answer) bool { return a.Standing == Failed && a.Tip == "" })
	if behind && silent && f.Source.clone.Has(plumbing.NewHash(known)) {
		var err error
		f.Source.alone = true
		f.Revision, err = f.Source.Revision(ctx, known)
		return f, err
	}
	return f, &RemotesError{f.Answers}
}

// A RemotesError says that no remote has anything that may be used.
type RemotesError struct{ Answers []Answer }

func (e *RemotesError) Error() string {
	var words []string
	for _, a := range e.Answers {
		words = append(words, a.Err.Error())
	}
	return fmt.Sprintf("none of %d remotes gives anything that may be used: %s", len(words), strings.Join(words, "; and "))
}

func (e *RemotesError) Unwrap() []error {
	var errs []error
	for _, a := range e.Answers {
		errs = append(errs, a.Err)
	}
	return errs
}
