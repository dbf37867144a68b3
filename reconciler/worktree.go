package reconciler

import (
	"context"
	"fmt"

	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
)

// worktreeRevision stands where a commit's hash would, for files as they lie
// in a folder.
const worktreeRevision = "worktree"

// tellUncommitted says that a local repo's edits are not read, to who may
// have expected it. A poll says so once for each revision.
func (r *Reconciler) tellUncommitted(ctx context.Context, src *source.Source, o *observation) {
	if r.patient && o.revision.Hash == o.state.Revision {
		return
	}
	n, err := src.Uncommitted(ctx, o.revision.Hash)
	if err != nil {
		r.Log.Debug("uncommitted edits were not looked for", "repo", r.Source.URL, "reason", err)
	}
	if n > 0 {
		r.Log.Warn(fmt.Sprintf("%s of the config repo differ from commit %s, which is what counts: commit them, or look at them with gitboot plan --worktree", files(n), plan.Short(o.revision.Hash)), "repo", r.Source.URL)
	}
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
