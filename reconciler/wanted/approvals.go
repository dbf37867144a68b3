package wanted

import (
	"context"
	"slices"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
)

// approvers are patterns of the tags that may have to approve of what w is, as far as
// it is known.
func (r *Repo) approvers(w *Wanted) []string {
	patterns := slices.Clone(r.Approvers)
	if w != nil && w.Wants != nil {
		patterns = append(patterns, w.Wants.Approve.Tag)
	}
	patterns = slices.DeleteFunc(patterns, func(pattern string) bool { return pattern == "" })
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

// hear finds out what tags say of the revision, where that matters.
func (r *Repo) hear(ctx context.Context, src *source.Source, w *Wanted) error {
	patterns := r.approvers(w)
	if len(patterns) == 0 {
		return nil
	}
	verdicts, err := source.Approvals(ctx, src, w.Revision.Hash, patterns)
	w.Approvals = map[string]plan.Consent{}
	for pattern, v := range verdicts {
		w.Approvals[pattern] = plan.Consent{Tag: v.Tag, Who: v.Who, When: v.When, Against: v.Against}
	}
	return err
}
